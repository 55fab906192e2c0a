# bash completion for rig, made by 'rig --completion bash'
_rig_candidates()
{
    local command=$1 prev=$2 cur=$3

    case "$command $prev" in
    'run --report-dir' | 'run -r') compgen -d -- "$cur"; return ;;
    'run --arch' | 'run -a') compgen -W 'x86_64 aarch64' -- "$cur"; return ;;
    'run --set') :; return ;;
    'run --a-name-that-is-too-long-for-its-column') :; return ;;
    'on --name') :; return ;;
    'kubectl --name') :; return ;;
    esac
    case "$command $cur" in
    'run -'*) compgen -W ' --report-dir --arch --keep --set --a-name-that-is-too-long-for-its-column --help --version' -- "$cur" ;;
    'run '*) compgen -d -- "$cur"; compgen -f -X '!*.yml' -- "$cur" ;;
    'up -'*) compgen -W ' --help --version' -- "$cur" ;;
    'up '*) : ;;
    'ssh -'*) compgen -W ' --help --version' -- "$cur" ;;
    'ssh '*) : ;;
    'on -'*) compgen -W ' --name --help --version' -- "$cur" ;;
    'on '*) compgen -W "$("${COMP_WORDS[0]}" names on "${COMP_WORDS[@]:2:COMP_CWORD-2}" 2>/dev/null)" -- "$cur" ;;
    'kubectl -'*) compgen -W ' --name --help --version' -- "$cur" ;;
    'kubectl '*) : ;;
    'completion -'*) compgen -W ' --help --version' -- "$cur" ;;
    'completion '*) compgen -W 'bash zsh' -- "$cur" ;;
    ' '*) compgen -W 'run up ssh on kubectl completion --help --version' -- "$cur" ;;
    esac
}

_rig()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command= i

    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
    done
    [[ $cur == = ]] && cur=
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(_rig_candidates "$command" "$prev" "$cur")
}
complete -F _rig rig
