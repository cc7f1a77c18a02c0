
# Groups of nodes are asked for when they are needed; everything else is known beforehand.
function __hapsh_nodes
    set -l head (commandline -ct | string match -r '^.*[,!&^]')
    for group in (hapsh nodeset -l 2>/dev/null)
        echo "$head$group"
    end
end
complete -c hapsh -s w -l nodes -x -a '(__hapsh_nodes)'
complete -c hapsh -s x -l exclude -x -a '(__hapsh_nodes)'
complete -c hapsh -s g -l group -x -a '(hapsh nodeset -l 2>/dev/null | string sub -s 2)'
complete -c hapsh -s X -l exclude-group -x -a '(hapsh nodeset -l 2>/dev/null | string sub -s 2)'
