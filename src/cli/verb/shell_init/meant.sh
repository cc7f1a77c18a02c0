# Whether a call means the program: it names targets, starts with an option that the builtin lacks or with a verb that
# has words behind it, or is one word that is no command.
__hapsh_meant() {
    case ${1-} in
        {{OPTIONS}} | - | --) ;;
        -*) return 0 ;;
        {{VERBS}}) if [ $# -gt 1 ]; then return 0; fi ;;
    esac
    case $#,${1-} in
        0, | 1, | 1,-* | 1,*=*) return 1 ;;
        1,*) if command -v "$1" >/dev/null 2>&1; then return 1; else return 0; fi ;;
    esac
    while [ $# -gt 0 ]; do
        case $1 in
            --) return 1 ;;
            --* | -[wxgXa]*) return 0 ;;
        esac
        shift
    done
    return 1
}
