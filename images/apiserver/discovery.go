// SPDX-License-Identifier: AGPL-3.0-only

package main

import (
	"slices"

	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/client-go/tools/cache"
)

// installGroupList serves /apis, which kube-aggregator does in a whole cluster.  New
// clients ask for its aggregated form, which upstream keeps itself; old ones get the
// plain list, whose manager has to be told of the groups that CRDs bring.
func installGroupList(crds *apiserver.CustomResourceDefinitions) {
	s := crds.GenericAPIServer
	list := aggregated.WrapAggregatedDiscoveryToHandler(s.DiscoveryGroupManager, s.AggregatedDiscoveryGroupManager, s.AggregatedDiscoveryGroupManager)
	s.Handler.GoRestfulContainer.Add(list.GenerateWebService("/apis", meta.APIGroupList{}))

	informer := crds.Informers.Apiextensions().V1().CustomResourceDefinitions().Informer()
	refresh := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		crd, ok := obj.(*apiext.CustomResourceDefinition)
		if !ok {
			return
		}
		group := crd.Spec.Group
		versions := servedVersions(informer.GetStore(), group)
		if len(versions) == 0 {
			s.DiscoveryGroupManager.RemoveGroup(group)
			return
		}
		s.DiscoveryGroupManager.AddGroup(meta.APIGroup{Name: group, Versions: versions, PreferredVersion: versions[0]})
	}
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    refresh,
		UpdateFunc: func(_, obj any) { refresh(obj) },
		DeleteFunc: refresh,
	})
}

// servedVersions lists each version that any CRD of the group serves, most stable first.
func servedVersions(store cache.Store, group string) []meta.GroupVersionForDiscovery {
	var names []string
	for _, obj := range store.List() {
		crd := obj.(*apiext.CustomResourceDefinition)
		if crd.Spec.Group != group {
			continue
		}
		for _, v := range crd.Spec.Versions {
			if v.Served && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	var served []meta.GroupVersionForDiscovery
	for _, name := range names {
		served = append(served, meta.GroupVersionForDiscovery{GroupVersion: group + "/" + name, Version: name})
	}
	return served
}
