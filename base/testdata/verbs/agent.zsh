#compdef fleet-agent
# zsh completion for fleet-agent, made by 'fleet-agent --completion zsh'
_fleet_agent()
{
    local command= program=$words[1]
    case $command in
    '')
        _arguments -s -S \
            '(-c --config)'{-c+,--config=}'[settings file]:FILE:_files' \
            '--self-test[say whether this binary could run here]' \
            '--version=[a table may have its own]:VERSION: ' \
            '(-h --help)'{-h,--help}'[show this help]' \
            && return
        ;;
    esac
}

if [ "$funcstack[1]" = '_fleet_agent' ]; then
    _fleet_agent "$@"
else
    compdef _fleet_agent fleet-agent
fi
