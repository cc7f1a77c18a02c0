# fish has no builtin of this name; made by: {{NAME}} shell-init fish
function hash --wraps hapsh --description 'HAProxy shell'
    command {{PROGRAM}} $argv
end
