//go:build programs

// Package kubernetes pins what the tests run of Kubernetes, at one version of its module.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
