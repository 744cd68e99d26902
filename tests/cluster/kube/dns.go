package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func runDNS() {
	// Only the plugins imported above exist here; the default list names more,
	// and also fixes the order in which a query passes through them.
	dnsserver.Directives = []string{"bind", "errors", "kubernetes"}
	coremain.Run()
}
