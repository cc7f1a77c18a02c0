# Routes `hash` to the program or to the shell's builtin; made by: {{NAME}} shell-init zsh
function hash {
    if __hapsh_meant "$@"; then
        command {{PROGRAM}} "$@"
    else
        # a function's arguments lack what the builtin's have: ~ behind = is a home
        setopt local_options no_glob
        local word value
        local -a words
        for word; do
            if [[ $word == *=\~* ]]; then
                value=(${~${word#*=}})
                word=${word%%=*}=$value
            fi
            words+=("$word")
        done
        builtin hash "${words[@]}"
    fi
}
# lb[1-2] is a node set, not a pattern for files; `sudo` followed by aliases could not run noglob
if [[ ${aliases[sudo]-} != *' ' ]]; then
    alias hash='noglob hash'
fi
