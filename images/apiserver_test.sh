#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-only
#
# The CRD API server with a real etcd and a real kubectl: what controllers, kubectl and
# people rely on.  TAP on stdout.

. "$(dirname "$0")/testing/tap.sh"

artefact=$("$IMAGES/apiserver.sh" --cached 2>/dev/null) || skip_all 'there is no crd-apiserver: run images/apiserver.sh'

k() {
	"$artefact/bin/kubectl" --kubeconfig admin.kubeconfig --cache-dir "$work/cache" --request-timeout 10s "$@"
}

k_as() {
	local who=$1
	shift
	"$artefact/bin/kubectl" --kubeconfig "$who.kubeconfig" --cache-dir "$work/cache-$who" --request-timeout 10s "$@"
}

# apply MANAGER SPEC: server-side apply of the widget "one".
apply() {
	k apply --server-side --field-manager "$1" -f - <<<"{apiVersion: test.example/v1, kind: Widget, metadata: {name: one}, $2}"
}

create() {
	k create -f - <<<"{apiVersion: test.example/v1, kind: Widget, metadata: {name: $1}, $2}"
}

# --- the servers -------------------------------------------------------------

sign() {
	local name=$1 subject=$2 extension=$3
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$name.key" -subj "$subject" 2>/dev/null |
		openssl x509 -req -CA ca.crt -CAkey ca.key -days 1 -extfile <(echo "$extension") -out "$name.crt" 2>/dev/null
}

kubeconfig() {
	cat >"$1.kubeconfig" <<-END
		{apiVersion: v1, kind: Config, current-context: lab,
		clusters: [{name: lab, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $work/ca.crt}}],
		users: [{name: me, user: $2}],
		contexts: [{name: lab, context: {cluster: lab, user: me}}]}
	END
}

start() {
	local etcd peer
	etcd=$(free_port) peer=$(free_port) port=$(free_port)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -days 1 -subj /CN=ca 2>/dev/null
	sign server /CN=localhost 'subjectAltName=IP:127.0.0.1'
	sign admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
	sign guest /O=guests/CN=guest extendedKeyUsage=clientAuth
	echo 'secret-of-robot,robot,1,"system:masters"' >tokens
	kubeconfig admin "{client-certificate: $work/admin.crt, client-key: $work/admin.key}"
	kubeconfig guest "{client-certificate: $work/guest.crt, client-key: $work/guest.key}"
	kubeconfig robot '{token: secret-of-robot}'
	kubeconfig stranger '{token: guessed}'

	etcd --data-dir etcd --log-level warn --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
		--listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
		--initial-cluster "default=http://127.0.0.1:$peer" >etcd.log 2>&1 &
	pids+=($!)
	"$artefact/bin/crd-apiserver" --etcd-servers "http://127.0.0.1:$etcd" --bind-address 127.0.0.1 --secure-port "$port" \
		--tls-cert-file server.crt --tls-private-key-file server.key --client-ca-file ca.crt --token-auth-file tokens >apiserver.log 2>&1 &
	pids+=($!)
	if ! until_ok 30 k get --raw /readyz >out 2>&1; then
		echo "Bail out! the API server did not become ready"
		tail -n 5 out etcd.log apiserver.log | sed 's/^/# /'
		exit 1
	fi
}

cat >crd.yaml <<'END'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.example}
spec:
  group: test.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wg]}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      additionalPrinterColumns:
        - {name: Size, type: integer, jsonPath: .spec.size}
        - {name: Phase, type: string, jsonPath: .status.phase}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [size]
              x-kubernetes-validations:
                - {rule: 'self.size % 2 == 0', message: size must be even}
              properties:
                size: {type: integer, maximum: 100}
                colour: {type: string, default: grey}
            status:
              type: object
              properties: {phase: {type: string}}
END

# --- the tests ---------------------------------------------------------------

watches() {
	k get wg --watch --output-watch-events >events &
	until_ok 10 grep -q ADDED events &&
		k label wg one watched=yes >/dev/null &&
		until_ok 10 grep -q MODIFIED events
	local status=$?
	kill $!
	return $status
}

status_is_apart() {
	k patch wg one --type merge -p '{"status": {"phase": "Forged"}}' &&
		[ -z "$(k get wg one -o jsonpath='{.status.phase}')" ] &&
		k patch wg one --subresource status --type merge -p '{"status": {"phase": "Ready"}, "spec": {"size": 66}}' &&
		says 'Ready 2 1' k get wg one -o jsonpath='{.status.phase} {.spec.size} {.metadata.generation}'
}

finalizer_holds() {
	k patch wg one --type merge -p '{"metadata": {"finalizers": ["test.example/hold"]}}' &&
		k delete wg one --wait=false &&
		[ -n "$(k get wg one -o jsonpath='{.metadata.deletionTimestamp}')" ] &&
		k patch wg one --type merge -p '{"metadata": {"finalizers": null}}' &&
		refuses NotFound k get wg one
}

core_type() {
	k create "$@" && k delete "$1" "${@: -1}"
}

# Each core type by server-side apply, which needs its description.
applied() {
	k apply --server-side -f - <<<"{apiVersion: $1, kind: $2, metadata: {name: applied}}"
}

stops() {
	local pid=${pids[1]}
	kill -TERM "$pid" && until_ok 10 eval "! kill -0 $pid 2>/dev/null"
}

begin=$SECONDS
start
echo "# ready after $((SECONDS - begin)) s"
check 'a release is reported' says 'Server Version: v1.' k version
check 'a CRD is established' eval 'k apply -f crd.yaml && k wait --for condition=Established --timeout 10s crd/widgets.test.example'
check 'kubectl discovers it' until_ok 10 says widgets k api-resources
check 'it serves objects' until_ok 10 apply me 'spec: {size: 2}'
check 'defaults are filled in' says grey k get wg one -o jsonpath='{.spec.colour}'
check 'printer columns are shown' says SIZE k get wg
check 'explain knows the schema' says colour k explain widget.spec
check 'a CEL rule refuses' refuses 'size must be even' create odd 'spec: {size: 3}'
check 'the schema refuses' refuses 'less than or equal to 100' create big 'spec: {size: 200}'
check 'an unknown field is refused' refuses 'unknown field "spec.taste"' create tasty 'spec: {size: 2, taste: sweet}'
check 'status is a subresource' status_is_apart
check 'server-side apply finds the conflict' refuses 'conflict with "me"' apply you 'spec: {size: 4}'
check 'a watch reports changes' watches
check 'label selectors select' says widget.test.example/one k get wg -l watched=yes -o name
check 'a finalizer holds the object' finalizer_holds
check 'namespaces are stored' core_type namespace blue
check 'configmaps are stored' core_type configmap blue
check 'secrets are stored' core_type secret generic blue
check 'namespaces are applied' applied v1 Namespace
check 'configmaps are applied' applied v1 ConfigMap
check 'secrets are applied' applied v1 Secret
check 'leases are applied' applied coordination.k8s.io/v1 Lease
check 'leases and events are served' says leases k api-resources
check 'a token of system:masters may' says customresourcedefinition k_as robot get crd -o name
check 'another group may not' refuses Forbidden k_as guest get wg
check 'an unknown token may not' refuses 'logged in' k_as stranger get wg
check 'deleting the CRD removes the group' eval 'k delete -f crd.yaml && until_ok 10 refuses "could not find" k get wg'
check 'TERM stops it' stops
done_testing
