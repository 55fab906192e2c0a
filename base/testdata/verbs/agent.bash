# bash completion for fleet-agent, made by 'fleet-agent --completion bash'
_fleet_agent_candidates()
{
    local command=$1 prev=$2 cur=$3

    case "$command $prev" in
    ' --config' | ' -c') compgen -f -- "$cur"; return ;;
    ' --version') :; return ;;
    esac
    case "$command $cur" in
    ' -'*) compgen -W ' --config --self-test --version --help' -- "$cur" ;;
    ' '*) : ;;
    esac
}

_fleet_agent()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command= i

    [[ $cur == = ]] && cur=
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(_fleet_agent_candidates "$command" "$prev" "$cur")
}
complete -F _fleet_agent fleet-agent
