package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const pollInterval = 100 * time.Millisecond

// runReady asks the cluster whether it can be used, until it can or the time
// is over; the error is the last answer. With a timeout of 0 it asks once.
func runReady(args []string) error {
	flags := flag.NewFlagSet("ready", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of an administrator")
	apiOnly := flags.Bool("api-only", false, "ask for the API server alone")
	nodes := flags.String("nodes", "", "names of the nodes that must be Ready, separated by commas")
	dns := flags.String("dns", "", "address of the name server of the cluster")
	since := flags.Int64("since", 0, "Unix time in milliseconds: nodes must have reported after it")
	timeout := flags.Duration("timeout", 0, "how long to wait")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Timeout = -1, 5*time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	checks := []check{apiServer(client)}
	if !*apiOnly {
		checks = append(checks, storageClass(client), nodesReady(client, strings.Split(*nodes, ","), time.UnixMilli(*since)),
			serviceAccount(client), nameServer(*dns))
	}
	deadline := time.Now().Add(*timeout)
	for _, ask := range checks {
		for {
			err := ask(context.Background())
			if err == nil {
				break
			}
			if !time.Now().Before(deadline) {
				return err
			}
			time.Sleep(pollInterval)
		}
	}
	return nil
}

type check func(context.Context) error

func apiServer(client kubernetes.Interface) check {
	return func(ctx context.Context) error {
		answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err != nil {
			return fmt.Errorf("API server: %w %s", err, answer)
		}
		return nil
	}
}

// storageClass makes the default class when it is not there.
func storageClass(client kubernetes.Interface) check {
	mode := storagev1.VolumeBindingWaitForFirstConsumer
	reclaim := corev1.PersistentVolumeReclaimDelete
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "local",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       provisionerName,
		VolumeBindingMode: &mode,
		ReclaimPolicy:     &reclaim,
	}
	return func(ctx context.Context) error {
		_, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("storage class %s: %w", class.Name, err)
		}
		return nil
	}
}

// nodesReady also looks at the leases: a node that is gone stays Ready in the
// API until the node monitor notices.
func nodesReady(client kubernetes.Interface, names []string, since time.Time) check {
	return func(ctx context.Context) error {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("nodes: %w", err)
		}
		leases, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("node leases: %w", err)
		}
		state := map[string]string{}
		for _, node := range nodes.Items {
			state[node.Name] = readiness(node)
		}
		reported := map[string]time.Time{}
		for _, lease := range leases.Items {
			if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
				continue
			}
			life := time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
			if time.Since(lease.Spec.RenewTime.Time) < life {
				reported[lease.Name] = lease.Spec.RenewTime.Time
			}
		}
		var missing []string
		for _, name := range names {
			switch {
			case state[name] == "":
				missing = append(missing, name+" has not registered")
			case state[name] != ready:
				missing = append(missing, name+" is not ready: "+state[name])
			case reported[name].IsZero() || reported[name].Before(since):
				missing = append(missing, name+" has not renewed its lease")
			}
		}
		if len(missing) > 0 {
			return errors.New(strings.Join(missing, "; "))
		}
		return nil
	}
}

const ready = "ready"

func readiness(node corev1.Node) string {
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return ready
		}
		return condition.Message
	}
	return "no condition reported"
}

// serviceAccount: no pod is admitted to a namespace before it has one.
func serviceAccount(client kubernetes.Interface) check {
	return func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("service account of namespace default: %w", err)
		}
		return nil
	}
}

func nameServer(address string) check {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(address, "53"))
		},
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		// The closing dot: the search domains of this machine are no part of it.
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		if err != nil {
			return fmt.Errorf("cluster DNS at %s: %w", address, err)
		}
		return nil
	}
}
