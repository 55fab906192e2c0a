// SPDX-License-Identifier: AGPL-3.0-only

// crd-apiserver is a Kubernetes API server for custom resources and little else:
// upstream's own apiextensions-apiserver with upstream's options, served without
// the kube-apiserver that it expects in front of it.  What that one would add and a
// controller or kubectl misses is supplied here: authentication by certificate or
// token file, authorization (system:masters may do anything, nobody else anything),
// the list of API groups (discovery.go), OpenAPI v2, and storage for a few core
// types (core.go).  There are no controllers and no RBAC.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	"k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/server"
	utilopenapi "k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/cli"
)

func main() {
	opts := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	tokens := ""
	cmd := &cobra.Command{
		Use:          "crd-apiserver",
		Short:        "Serve the Kubernetes API for custom resources from etcd",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), opts, tokens)
		},
	}
	opts.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&tokens, "token-auth-file", "", `CSV file of token,user,uid,"group1,group2"`)
	cmd.SetContext(server.SetupSignalContext())
	os.Exit(cli.Run(cmd))
}

func run(ctx context.Context, opts *options.CustomResourceDefinitionsServerOptions, tokens string) error {
	if err := opts.Complete(); err != nil {
		return err
	}
	if err := opts.Validate(); err != nil {
		return err
	}
	config, err := serverConfig(opts, tokens)
	if err != nil {
		return err
	}
	crds, err := config.Complete().New(server.NewEmptyDelegate())
	if err != nil {
		return err
	}
	if err := installCore(crds.GenericAPIServer, *opts.RecommendedOptions.Etcd); err != nil {
		return fmt.Errorf("installing core types: %w", err)
	}
	installGroupList(crds)
	return crds.GenericAPIServer.PrepareRun().RunWithContext(ctx)
}

func serverConfig(opts *options.CustomResourceDefinitionsServerOptions, tokens string) (*apiserver.Config, error) {
	rec := opts.RecommendedOptions

	// Nothing here may reach for the kube-apiserver that is not there: its informers
	// (and the admission plugins and flow control fed by them), TokenReview and
	// SubjectAccessReview.  CRD schemas and CEL rules are not admission plugins.
	rec.CoreAPI = nil
	rec.Admission = nil
	rec.Features.EnablePriorityAndFairness = false
	rec.Authentication.RemoteKubeConfigFileOptional = true
	rec.Authentication.SkipInClusterLookup = true
	rec.Authorization.RemoteKubeConfigFileOptional = true

	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	if err := rec.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, loopback); err != nil {
		return nil, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	generic := server.NewRecommendedConfig(apiserver.Codecs)
	if err := opts.ServerRunOptions.ApplyTo(&generic.Config); err != nil {
		return nil, err
	}
	if err := rec.ApplyTo(generic); err != nil {
		return nil, err
	}
	resources := apiserver.DefaultAPIResourceConfigSource()
	if err := opts.APIEnablement.ApplyTo(&generic.Config, resources, apiserver.Scheme); err != nil {
		return nil, err
	}
	if tokens != "" {
		table, err := tokenfile.NewCSV(tokens)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", tokens, err)
		}
		// an unknown token is an error, not an anonymous request
		auth := &generic.Authentication
		auth.Authenticator = union.NewFailOnError(bearertoken.New(table), auth.Authenticator)
	}
	definitions := withCoreDefinitions(utilopenapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(openapi.GetOpenAPIDefinitions))
	namer := openapinamer.NewDefinitionNamer(apiserver.Scheme, scheme.Scheme)
	generic.OpenAPIConfig = server.DefaultOpenAPIConfig(definitions, namer)
	generic.OpenAPIV3Config = server.DefaultOpenAPIV3Config(definitions, namer)

	return &apiserver.Config{
		GenericConfig: generic,
		ExtraConfig: apiserver.ExtraConfig{
			CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(*rec.Etcd, generic.ResourceTransformers, generic.StorageObjectCountTracker),
			ServiceResolver:      webhook.NewDefaultServiceResolver(),
			AuthResolverWrapper:  webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, generic.LoopbackClientConfig, nooptrace.NewTracerProvider()),
		},
	}, nil
}
