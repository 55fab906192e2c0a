// SPDX-License-Identifier: AGPL-3.0-only

package main

import (
	"context"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Core types are stored and watched with upstream's types and registry, but without
// upstream's validation and controllers, which live in k8s.io/kubernetes: a namespace
// is a plain object, and deleting it deletes nothing in it.
var coreKinds = []struct {
	version      schema.GroupVersion
	plural       string
	singular     string
	short        []string
	namespaced   bool
	object, list runtime.Object
}{
	{core.SchemeGroupVersion, "namespaces", "namespace", []string{"ns"}, false, &core.Namespace{}, &core.NamespaceList{}},
	{core.SchemeGroupVersion, "configmaps", "configmap", []string{"cm"}, true, &core.ConfigMap{}, &core.ConfigMapList{}},
	{core.SchemeGroupVersion, "secrets", "secret", nil, true, &core.Secret{}, &core.SecretList{}},
	{core.SchemeGroupVersion, "events", "event", []string{"ev"}, true, &core.Event{}, &core.EventList{}},
	{coordination.SchemeGroupVersion, "leases", "lease", nil, true, &coordination.Lease{}, &coordination.LeaseList{}},
}

func installCore(s *server.GenericAPIServer, etcd options.EtcdOptions) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, coordination.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	for _, kind := range coreKinds {
		// the v1 type doubles as the internal one, so that nothing needs converting
		internal := schema.GroupVersion{Group: kind.version.Group, Version: runtime.APIVersionInternal}
		scheme.AddKnownTypes(internal, kind.object, kind.list)
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	codecs := serializer.NewCodecFactory(scheme)

	etcd.StorageConfig.Codec = codecs.LegacyCodec(core.SchemeGroupVersion, coordination.SchemeGroupVersion)
	getter := etcd.CreateRESTOptionsGetter(&options.SimpleStorageFactory{StorageConfig: etcd.StorageConfig}, nil)

	resources := map[schema.GroupVersion]map[string]rest.Storage{}
	for _, kind := range coreKinds {
		resource := kind.version.WithResource(kind.plural).GroupResource()
		how := strategy{scheme, names.SimpleNameGenerator, kind.namespaced}
		store := &registry.Store{
			NewFunc:                   func() runtime.Object { return kind.object.DeepCopyObject() },
			NewListFunc:               func() runtime.Object { return kind.list.DeepCopyObject() },
			PredicateFunc:             predicate,
			DefaultQualifiedResource:  resource,
			SingularQualifiedResource: kind.version.WithResource(kind.singular).GroupResource(),
			CreateStrategy:            how,
			UpdateStrategy:            how,
			DeleteStrategy:            how,
			TableConvertor:            rest.NewDefaultTableConvertor(resource),
		}
		if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: attributes}); err != nil {
			return err
		}
		if resources[kind.version] == nil {
			resources[kind.version] = map[string]rest.Storage{}
		}
		resources[kind.version][kind.plural] = shortNamed{store, kind.short}
	}
	for version, storages := range resources {
		info := server.NewDefaultAPIGroupInfo(version.Group, scheme, runtime.NewParameterCodec(scheme), codecs)
		info.VersionedResourcesStorageMap[version.Version] = storages
		install := s.InstallAPIGroup
		if version.Group == "" {
			install = func(info *server.APIGroupInfo) error { return s.InstallLegacyAPIGroup("/api", info) }
		}
		if err := install(&info); err != nil {
			return err
		}
	}
	return nil
}

func attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, nil, err
	}
	return m.GetLabels(), fields.Set{"metadata.name": m.GetName(), "metadata.namespace": m.GetNamespace()}, nil
}

func predicate(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
	return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
}

type shortNamed struct {
	*registry.Store
	short []string
}

func (s shortNamed) ShortNames() []string { return s.short }

// strategy accepts every well-formed object as it comes.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	namespaced bool
}

func (s strategy) NamespaceScoped() bool                                          { return s.namespaced }
func (strategy) PrepareForCreate(context.Context, runtime.Object)                 {}
func (strategy) PrepareForUpdate(_ context.Context, _, _ runtime.Object)          {}
func (strategy) Validate(context.Context, runtime.Object) field.ErrorList         { return nil }
func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string        { return nil }
func (strategy) WarningsOnUpdate(_ context.Context, _, _ runtime.Object) []string { return nil }
func (strategy) Canonicalize(runtime.Object)                                      {}
func (strategy) AllowCreateOnUpdate() bool                                        { return false }
func (strategy) AllowUnconditionalUpdate() bool                                   { return true }
func (strategy) ValidateUpdate(_ context.Context, _, _ runtime.Object) field.ErrorList {
	return nil
}

// withCoreDefinitions describes the core types to OpenAPI as open objects: upstream
// generates their real definitions inside k8s.io/kubernetes.
func withCoreDefinitions(base common.GetOpenAPIDefinitions) common.GetOpenAPIDefinitions {
	// a new one for each: the server notes the kind in the definition's own map of extensions
	open := func() common.OpenAPIDefinition {
		return common.OpenAPIDefinition{Schema: spec.Schema{
			SchemaProps:      spec.SchemaProps{Type: []string{"object"}},
			VendorExtensible: spec.VendorExtensible{Extensions: spec.Extensions{"x-kubernetes-preserve-unknown-fields": true}},
		}}
	}
	return func(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
		all := base(ref)
		for _, kind := range coreKinds {
			for _, obj := range []runtime.Object{kind.object, kind.list} {
				name := obj.(interface{ OpenAPIModelName() string }).OpenAPIModelName()
				if _, known := all[name]; !known {
					all[name] = open()
				}
			}
		}
		return all
	}
}
