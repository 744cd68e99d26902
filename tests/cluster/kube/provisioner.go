package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "galeractl.local/directory"

// directories makes one directory per volume below root/NODE. All nodes are
// on this machine, so one provisioner can serve them all.
type directories struct {
	root string
}

var _ controller.Provisioner = directories{}

func (d directories) Provision(_ context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if options.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished,
			errors.New("no node selected: this class needs volumeBindingMode WaitForFirstConsumer")
	}
	path := filepath.Join(d.root, options.SelectedNodeName, options.PVName)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Any user may write, as on a freshly formatted disk of most drivers once
	// fsGroup was applied; umask would have narrowed the mode of MkdirAll.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// A `local` volume, not hostPath: kubelet applies fsGroup to it.
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: path},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key:      corev1.LabelHostname,
						Operator: corev1.NodeSelectorOpIn,
						// Here the label is the name: --hostname-override sets both.
						Values: []string{options.SelectedNodeName},
					}},
				}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

func (d directories) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.Local == nil {
		return &controller.IgnoredError{Reason: "not a local volume"}
	}
	path := filepath.Clean(volume.Spec.Local.Path)
	inside, err := filepath.Rel(d.root, path)
	if err != nil || !filepath.IsLocal(inside) || inside == "." {
		return fmt.Errorf("volume %s is at %s, outside of %s: not removed", volume.Name, path, d.root)
	}
	return os.RemoveAll(path)
}

func runProvisioner(args []string) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig with the right to manage volumes")
	root := flags.String("root", "", "absolute directory below which volumes are made")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !filepath.IsAbs(*root) {
		return fmt.Errorf("--root must be an absolute path, not %q", *root)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	controller.NewProvisionController(ctx, client, provisionerName,
		directories{root: filepath.Clean(*root)},
		controller.LeaderElection(false),
	).Run(ctx)
	return nil
}
