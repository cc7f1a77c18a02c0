# Routes `hash` to the program or to the shell's builtin; made by: {{NAME}} shell-init {{SHELL}}
unalias hash 2>/dev/null || :
hash() {
    if __hapsh_meant "$@"; then
        command {{PROGRAM}} "$@"
    else
        {{BUILTIN}} "$@"
    fi
}
