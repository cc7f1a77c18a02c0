# Groups of nodes are asked for when they are needed; everything else is known beforehand.
_hapsh_nodes() {
    local -a groups
    groups=(${(f)"$(hapsh nodeset -l 2>/dev/null)"})
    compset -P '*[,!&^]'
    compadd -S '' -a groups
}
_hapsh_groups() {
    local -a groups
    groups=(${(f)"$(hapsh nodeset -l 2>/dev/null)"})
    groups=(${groups#@})
    compadd -a groups
}
