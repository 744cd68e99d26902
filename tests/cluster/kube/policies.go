package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// chain is where forwarded packets come by; whoever makes the packet filter
// has it jump here before it accepts anything.
const chain = "GALERACTL-POLICY"

// settle is how long changes are gathered: a pod's start is several.
const settle = 50 * time.Millisecond

// runPolicies enforces NetworkPolicy objects by the packet filter of this
// machine, which all nodes share. Packets from a node's own address are not
// forwarded and so reach every pod, as kubelet's probes must.
func runPolicies(args []string) error {
	flags := flag.NewFlagSet("policies", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig with the right to watch pods, namespaces and policies")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	filter := filter{pods.Lister(), namespaces.Lister(), policies.Lister()}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { tell() },
		UpdateFunc: func(any, any) { tell() },
		DeleteFunc: func(any) { tell() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	var last string
	var chains []string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		time.Sleep(settle)
		rules, names, err := filter.rules()
		if err != nil {
			return err
		}
		if rules == last {
			continue
		}
		if err := restore(rules, names, chains); err != nil {
			return err
		}
		last, chains = rules, names
	}
}

// restore puts the rules in place of those before, all at once.
func restore(rules string, chains, before []string) error {
	known := map[string]bool{}
	var input strings.Builder
	fmt.Fprintf(&input, "*filter\n:%s - [0:0]\n", chain)
	for _, name := range chains {
		known[name] = true
		fmt.Fprintf(&input, ":%s - [0:0]\n", name)
	}
	input.WriteString(rules)
	for _, name := range before {
		if !known[name] {
			fmt.Fprintf(&input, ":%s - [0:0]\n-X %s\n", name, name)
		}
	}
	input.WriteString("COMMIT\n")
	command := exec.Command("iptables-restore", "--noflush", "--wait", "10")
	command.Stdin = strings.NewReader(input.String())
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("iptables-restore: %w: %s\n%s", err, said.String(), input.String())
	}
	return nil
}

type filter struct {
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	policies   networkinglisters.NetworkPolicyLister
}

// rules are those of all pods that a policy selects, and the names of their chains.
func (f filter) rules() (string, []string, error) {
	all, err := f.policies.List(labels.Everything())
	if err != nil {
		return "", nil, err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].UID < all[j].UID })
	ingress, egress := map[string][]string{}, map[string][]string{}
	for _, policy := range all {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil {
			return "", nil, err
		}
		pods, err := f.pods.Pods(policy.Namespace).List(selector)
		if err != nil {
			return "", nil, err
		}
		for _, pod := range pods {
			address := addressOf(pod)
			if address == "" {
				continue
			}
			for _, kind := range policy.Spec.PolicyTypes {
				if kind == networkingv1.PolicyTypeIngress {
					ingress[address] = append(ingress[address], f.ingress(policy, pod)...)
				} else {
					egress[address] = append(egress[address], f.egress(policy)...)
				}
			}
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n", chain)
	names := append(write(&text, "OUT", "-s", egress), write(&text, "IN", "-d", ingress)...)
	return text.String(), names, nil
}

// write has each selected pod's packets pass a chain that lets through what the policies name, and drops the rest.
func write(text *strings.Builder, direction, flag string, allowed map[string][]string) []string {
	addresses := make([]string, 0, len(allowed))
	for address := range allowed {
		addresses = append(addresses, address)
	}
	sort.Strings(addresses)
	names := make([]string, 0, len(addresses))
	for _, address := range addresses {
		name := fmt.Sprintf("GALERACTL-%s-%s", direction, address)
		names = append(names, name)
		fmt.Fprintf(text, "-A %s %s %s -j %s\n", chain, flag, address, name)
		for _, match := range allowed[address] {
			fmt.Fprintf(text, "-A %s%s -j RETURN\n", name, match)
		}
		fmt.Fprintf(text, "-A %s -j DROP\n", name)
	}
	return names
}

// addressOf is empty for pods that have none of their own, or need it no more.
func addressOf(pod *corev1.Pod) string {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return ""
	}
	return pod.Status.PodIP
}

func (f filter) ingress(policy *networkingv1.NetworkPolicy, pod *corev1.Pod) []string {
	var matches []string
	for _, rule := range policy.Spec.Ingress {
		matches = append(matches, combine(f.peers(policy.Namespace, "-s", rule.From), ports(rule.Ports, pod))...)
	}
	return matches
}

func (f filter) egress(policy *networkingv1.NetworkPolicy) []string {
	var matches []string
	for _, rule := range policy.Spec.Egress {
		matches = append(matches, combine(f.peers(policy.Namespace, "-d", rule.To), ports(rule.Ports, nil))...)
	}
	return matches
}

func combine(peers, ports []string) []string {
	var all []string
	for _, peer := range peers {
		for _, port := range ports {
			all = append(all, peer+port)
		}
	}
	return all
}

// peers are matches of the other end; nobody named is everybody.
func (f filter) peers(namespace, flag string, peers []networkingv1.NetworkPolicyPeer) []string {
	if len(peers) == 0 {
		return []string{""}
	}
	var matches []string
	for _, peer := range peers {
		if peer.IPBlock != nil {
			prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
			if err == nil && prefix.Addr().Is4() {
				matches = append(matches, " "+flag+" "+prefix.String())
			}
			continue
		}
		for _, address := range f.addresses(namespace, peer) {
			matches = append(matches, " "+flag+" "+address)
		}
	}
	return matches
}

// addresses are those of the pods that a peer names. A selector that cannot be read selects nobody.
func (f filter) addresses(namespace string, peer networkingv1.NetworkPolicyPeer) []string {
	in := []string{namespace}
	if peer.NamespaceSelector != nil {
		in = nil
		if selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector); err == nil {
			found, _ := f.namespaces.List(selector)
			for _, one := range found {
				in = append(in, one.Name)
			}
		}
	}
	selector := labels.Everything()
	if peer.PodSelector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(peer.PodSelector); err != nil {
			return nil
		}
	}
	var addresses []string
	for _, name := range in {
		pods, _ := f.pods.Pods(name).List(selector)
		for _, pod := range pods {
			if address := addressOf(pod); address != "" {
				addresses = append(addresses, address)
			}
		}
	}
	sort.Strings(addresses)
	return addresses
}

// ports are matches of the port that is reached; none named are all. Names are those of the pod's containers.
func ports(wanted []networkingv1.NetworkPolicyPort, pod *corev1.Pod) []string {
	if len(wanted) == 0 {
		return []string{""}
	}
	var matches []string
	for _, one := range wanted {
		protocol := "tcp"
		if one.Protocol != nil {
			protocol = strings.ToLower(string(*one.Protocol))
		}
		if one.Port == nil {
			matches = append(matches, " -p "+protocol)
			continue
		}
		number := one.Port.IntValue()
		if one.Port.Type == intstr.String {
			number = named(pod, one.Port.StrVal)
		}
		if number == 0 {
			continue
		}
		port := strconv.Itoa(number)
		if one.EndPort != nil {
			port += ":" + strconv.Itoa(int(*one.EndPort))
		}
		matches = append(matches, fmt.Sprintf(" -p %s -m %s --dport %s", protocol, protocol, port))
	}
	return matches
}

func named(pod *corev1.Pod, name string) int {
	if pod == nil {
		return 0
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}
