package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const contextName = "galeractl-local"

// authority signs everything in one cluster: servers, clients and nodes.
type authority struct {
	dir    string
	server string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// runPKI writes the certificates and kubeconfigs that are not there yet, so
// that a node can be added to a cluster that runs already.
func runPKI(args []string) error {
	flags := flag.NewFlagSet("pki", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory to write to")
	server := flags.String("server", "", "URL of the API server, for the kubeconfigs")
	hosts := flags.String("hosts", "", "names and addresses of the API server, separated by commas")
	nodes := flags.String("nodes", "", "NAME=ADDRESS of every node, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	ca := &authority{dir: *dir, server: *server}
	if err := ca.load(); err != nil {
		return err
	}
	if err := ca.serviceAccountKey(); err != nil {
		return err
	}
	if err := ca.pair("apiserver", "kube-apiserver", nil, strings.Split(*hosts, ",")); err != nil {
		return err
	}
	if err := ca.pair("apiserver-kubelet-client", "kube-apiserver", []string{"system:masters"}, nil); err != nil {
		return err
	}
	for _, client := range []struct{ file, user, group string }{
		{"admin", "galeractl:admin", "system:masters"},
		{"kube-controller-manager", "system:kube-controller-manager", ""},
		{"kube-scheduler", "system:kube-scheduler", ""},
		{"kube-proxy", "system:kube-proxy", ""},
		// Not worth a role each in a cluster that lives for a test run.
		{"coredns", "galeractl:coredns", "system:masters"},
		{"provisioner", "galeractl:provisioner", "system:masters"},
		{"policies", "galeractl:policies", "system:masters"},
	} {
		var groups []string
		if client.group != "" {
			groups = []string{client.group}
		}
		if err := ca.kubeconfig(client.file, client.user, groups); err != nil {
			return err
		}
	}
	for _, node := range strings.Split(*nodes, ",") {
		name, address, ok := strings.Cut(node, "=")
		if !ok {
			return fmt.Errorf("--nodes: %q is not NAME=ADDRESS", node)
		}
		if err := ca.kubeconfig(name, "system:node:"+name, []string{"system:nodes"}); err != nil {
			return err
		}
		if err := ca.pair(name, "system:node:"+name, nil, []string{name, address}); err != nil {
			return err
		}
	}
	return nil
}

func (ca *authority) path(name string) string { return filepath.Join(ca.dir, name) }

func (ca *authority) has(name string) (bool, error) {
	_, err := os.Stat(ca.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (ca *authority) load() error {
	found, err := ca.has("ca.crt")
	if err != nil {
		return err
	}
	if !found {
		return ca.create()
	}
	certDER, err := readPEM(ca.path("ca.crt"))
	if err != nil {
		return err
	}
	keyDER, err := readPEM(ca.path("ca.key"))
	if err != nil {
		return err
	}
	if ca.cert, err = x509.ParseCertificate(certDER); err != nil {
		return err
	}
	ca.key, err = x509.ParseECPrivateKey(keyDER)
	return err
}

func (ca *authority) create() error {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: contextName},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca.cert, ca.key = template, key
	der, err := ca.sign(template, key)
	if err != nil {
		return err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	// The certificate last: its presence says that both are there.
	if err := writeKey(ca.path("ca.key"), key); err != nil {
		return err
	}
	return writePEM(ca.path("ca.crt"), "CERTIFICATE", der)
}

func (ca *authority) serviceAccountKey() error {
	found, err := ca.has("sa.key")
	if err != nil || found {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(ca.path("sa.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(ca.path("sa.key"), key)
}

func (ca *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// The clock of a machine that was restored from a snapshot may step back.
	template.NotBefore = time.Now().Add(-24 * time.Hour)
	template.NotAfter = time.Now().AddDate(10, 0, 0)
	return x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
}

// issue makes a certificate for a client, which serves the hosts as well if
// there are any.
func (ca *authority) issue(user string, groups, hosts []string) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := ca.sign(template, key)
	return der, key, err
}

func (ca *authority) pair(name, user string, groups, hosts []string) error {
	found, err := ca.has(name + ".crt")
	if err != nil || found {
		return err
	}
	der, key, err := ca.issue(user, groups, hosts)
	if err != nil {
		return err
	}
	if err := writeKey(ca.path(name+".key"), key); err != nil {
		return err
	}
	return writePEM(ca.path(name+".crt"), "CERTIFICATE", der)
}

func (ca *authority) kubeconfig(name, user string, groups []string) error {
	found, err := ca.has(name + ".kubeconfig")
	if err != nil || found {
		return err
	}
	der, key, err := ca.issue(user, groups, nil)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{
		Server:                   ca.server,
		CertificateAuthorityData: encodePEM("CERTIFICATE", ca.cert.Raw),
	}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{
		ClientCertificateData: encodePEM("CERTIFICATE", der),
		ClientKeyData:         encodePEM("EC PRIVATE KEY", keyDER),
	}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: user}
	config.CurrentContext = contextName
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(ca.path(name+".kubeconfig"), data)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return writeFile(path, encodePEM(kind, der))
}

// writeFile never leaves half a file under the final name.
func writeFile(path string, data []byte) error {
	if err := os.WriteFile(path+".part", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
