
# Groups of nodes are asked for when they are needed; everything else is known beforehand.
# Bash breaks words at @, so the word as it was typed is taken from the line.
_hapsh_groups() {
    local line=${COMP_LINE:0:COMP_POINT} typed option part prefix group
    typed=${line##*[[:space:]]}
    option=${line%"$typed"}
    option=${option%"${option##*[![:space:]]}"}
    option=${option##*[[:space:]]}
    case $typed in
        --*=*) option=${typed%%=*} typed=${typed#*=} ;;
        -[wxgX]*) option=${typed:0:2} typed=${typed:2} ;;
    esac
    case $option in
        -w | -x | --nodes | --exclude) part=${typed##*[,\!&^]} ;;
        -g | -X | --group | --exclude-group) part=@$typed ;;
        *) _hapsh "$@"; return ;;
    esac
    prefix=${part%"$2"}
    COMPREPLY=()
    while IFS= read -r group; do
        if [[ $group == "$part"* ]]; then COMPREPLY+=("${group#"$prefix"}"); fi
    done < <(hapsh nodeset -l 2>/dev/null)
}
complete -F _hapsh_groups -o bashdefault -o default hapsh hash
