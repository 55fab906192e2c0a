#compdef rig
# zsh completion for rig, made by 'rig --completion zsh'
_rig()
{
    local command= program=$words[1]
    local -a commands=(
        'run:run scenarios'
        'up:keep a lab\: it'\''s \[up\]'
        'ssh:open a shell on a device'
        'on:run a command on a device'
        'kubectl:run kubectl'
        'completion:print it'
    )

    if ((CURRENT == 2)); then
        _describe -t commands command commands
        _arguments \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            && return
        return
    fi
    command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
    'run')
        _arguments -s -S \
            '(-r --report-dir)'{-r+,--report-dir=}'[put reports and evidence there]:DIR:_files -/' \
            '(-a --arch)'{-a+,--arch=}'[architecture of the devices]:ARCH:(x86_64 aarch64)' \
            '(-k --keep)'{-k,--keep}'[keep the lab when a scenario failed]' \
            '--set=[override a variable of the scenario; this help is long enough that it has to go on in another line]:NAME=VALUE: ' \
            '--a-name-that-is-too-long-for-its-column=[stands on a line of its own]:VALUE: ' \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            '*:FILE...:_files -g "*.yml"'
        ;;
    'up')
        _arguments -s -S \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            && return
        ;;
    'ssh')
        _arguments -s -S \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            '*:DEVICE \[COMMAND...\]: '
        ;;
    'on')
        _arguments -s -S \
            '--name=[of the fleet]:NAME: ' \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            '*:DEVICE COMMAND...:{ compadd -- ${(f)"$($program names on ${(Q)words[2,CURRENT-1]} 2>/dev/null)"} }'
        ;;
    'kubectl')
        _arguments -s -S \
            '--name=[of the fleet]:NAME: ' \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            '*:\[ARGUMENT...\]: '
        ;;
    'completion')
        _arguments -s -S \
            '(-h --help)'{-h,--help}'[show this help]' \
            '--version[show the version]' \
            '*:bash|zsh:(bash zsh)'
        ;;
    esac
}

if [ "$funcstack[1]" = '_rig' ]; then
    _rig "$@"
else
    compdef _rig rig
fi
