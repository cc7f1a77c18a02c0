//! What a node runs to take files in: text for any login shell, which hands it to a POSIX `sh`.
//!
//! A login shell may be csh or fish, so the scripts hold no apostrophe, line break, exclamation mark or double backslash.
//! All that arrives goes under a temporary name in the folder where it will be and is renamed when it is whole; whatever
//! ends the script before takes it away again. The stream may end early when a connection is cut: then too little arrived.
//!
//! A file that is there already keeps its owner and, unless everything is to be as here (`-p`), its permissions; what is new
//! gets those that the umask of the node leaves. What could not be kept is told behind [`NOTE`].

use super::pack::Pack;

/// What a word about a copy that was made begins with, on standard error.
pub(super) const NOTE: &str = "hapsh: ";

/// What both scripts begin with: how they fail, what they look up, and where things go. `s` makes of permissions as `ls`
/// shows them what `chmod` takes, `b` makes of the umask what `chmod` takes away.
const BEGIN: &str = r#"unset CDPATH; f() { printf "%s\n" "$1" >&2; exit 1; }; h() { [ -z "$1" ] || printf "hapsh: %s\n" "$1" >&2; }; g() { m=$1; L=$2; u=$3; o=$4; z=$5; }; s() { S=; x=${1#?}; for i in u g o; do A=${x#???}; x=${x%"$A"}; Q=; case $x in (r*) Q=r;; esac; case $x in (?w*) Q=${Q}w;; esac; case $x in (??[xst]*) Q=${Q}x;; esac; case $x in (??[sS]*) Q=${Q}s;; (??[tT]*) Q=${Q}t;; esac; S=$S${S:+,}$i=$Q; x=$A; done; }; U=$(umask); b() { B=; x=000$U; A=${x%???}; x=${x#"$A"}; for i in u g o; do A=${x#?}; case ${x%"$A"} in (1) Q=x;; (2) Q=w;; (3) Q=wx;; (4) Q=r;; (5) Q=rx;; (6) Q=rw;; (7) Q=rwx;; (*) Q=;; esac; [ -z "$Q" ] || B=$B${B:+,}$i-$Q; x=$A; done; }; t=; x() { [ -z "$t" ] || { chmod -R u+rwx "$t"; rm -rf "$t"; } 2>/dev/null; }; trap x 0; trap "exit 129" 1; trap "exit 130" 2; trap "exit 141" 13; trap "exit 143" 15; q() { if [ -e "$1" ]; then f "$1: Not a directory"; else f "$1: No such file or directory"; fi; }; l() { p=.; case $d in (*/*) p=${d%/*}; p=${p:-/};; esac; [ -d "$p" ] || q "$p"; t=${p%/}/.hapsh-$k-$(uname -n)-$$; umask 077; set -C; }; d=${1:-.}; k=$2; a=$3; read -r w; case $w in (hapsh) ;; (*) f "$d: nothing arrived";; esac; case $d in (-*) d=./$d;; esac; "#;

/// How a leading `~` or `~user` in a path becomes a home: `hs` is the path without it, `hn` the user, `hh` the home. What
/// is given to `eval` holds nothing but what names of users are made of.
pub(in crate::work) const HOME: &str = r#"f() { printf "%s\n" "$1" >&2; exit 1; }; home() { hs=$1; hn=; hh=; case $1 in ("~"*) hn=${1#?}; hn=${hn%%/*}; case $hn in ("") hh=~;; (-*) ;; (*) [ -n "$(printf "%s" "$hn" | tr -d "A-Za-z0-9._-")" ] || eval "hh=~$hn";; esac; case $hh in (/*) hs=${hh%/}${1#"~$hn"}; hs=${hs:-/};; (*) f "$1: no such user";; esac;; esac; }; "#;

/// Where a copy goes.
const DEST: &str = r#"home "$d"; d=$hs; "#;

/// One file, whose bytes are the stream. Behind what both have come name, size, permissions (octal, and as `ls` shows
/// them), and the times of change and access, or nothing.
const FILE: &str = r#"if [ -d "$d" ]; then d=${d%/}/$4; else case $d in (*/) q "$d";; esac; fi; if [ -L "$d" ]; then r=$(readlink -f "$d" 2>/dev/null); d=${r:-$d}; fi; [ -d "$d" ] && f "$d: Is a directory"; if [ -e "$d" ]; then [ -f "$d" ] || f "$d: not a regular file"; fi; l; e=$({ cat >"$t"; } 2>&1) || f "$d: ${e##*: }"; set -f; g $(ls -ldn "$t"); [ "$z" = "$5" ] || f "$d: only $z of $5 bytes arrived; nothing was put there"; M=$6; P=$7; N=; V=; W=; b; if [ -e "$d" ]; then B=; g $(ls -ldn "$d"); V=$u:$o; [ "$L" -lt 2 ] || N="$d: was one of $L hard links; the others keep the old content"; [ -n "$8" ] || { s "$m"; M=$S; P=${m%[.+@]}; }; chown "$V" "$t" 2>/dev/null; fi; [ -z "$8" ] || B=; e=$(chmod "$M" "$t" 2>&1) || f "$d: ${e##*: }"; g $(ls -ldn "$t"); case $m in ("$P"*) ;; (*) f "$d: cannot be given the permissions $P";; esac; case $V in (""|"$u:$o") ;; (*) W="$d: belonged to $V and belongs to $u:$o now";; esac; [ -z "$B" ] || chmod "$B" "$t"; if [ -n "$8" ]; then e=$({ TZ=UTC0 touch -m -t "$8" "$t" && TZ=UTC0 touch -a -t "$9" "$t"; } 2>&1) || f "$d: ${e##*: }"; fi; e=$(mv -f "$t" "$d" 2>&1) || f "$d: ${e##*: }"; t=; h "$N"; h "$W"; "#;

/// A tar stream. Behind what both have come the number of sources, of members and of bytes, the permissions that files
/// have, and the options of tar. Existing folders are merged into, each file is renamed by itself, and what cannot be put
/// in its place (a file for a folder) is found before anything is.
const TREE: &str = r#"n=; if [ -d "$d" ]; then d=${d%/}/.; else [ "$4" = 1 ] || q "$d"; d=${d%/}; [ -e "$d" ] && q "$d"; n=$d; fi; l; command -v tar >/dev/null 2>&1 || f "tar: not found on the node; folders and several files cannot be copied to it"; e=$(mkdir "$t" 2>&1) || { t=; f "${n:-$p}: ${e##*: }"; }; e=$({ cd "$t" && tar "$8" -; } 2>&1) || { case $e in (*"No space left"*) e="No space left on device";; (*"uota exceeded"*) e="Disk quota exceeded";; (*) e=$(printf "%s\n" "$e" | sed -n 1p); e=${e#tar: };; esac; f "${n:-$p}: $e"; }; v=$(find "$t" -exec ls -ldn {} + | { i=-1; s=0; b=; while read -r m c u o z r; do case $m in ([-dl][-r][-w]*) i=$((i+1));; esac; case $m in (-[-r][-w]*) s=$((s+z)); case $7 in (*" ${m%[.+@]} "*) ;; (*) b=" $m";; esac;; esac; done; printf "%s" "$i $s$b"; }); [ "$v" = "$5 $6" ] || f "${n:-$p}: what arrived is not what was sent ($v instead of $5 $6: members, bytes); nothing was put there"; K=; case $8 in (*m*) K=y; b; [ -z "$B" ] || find "$t" "(" -type f -o -type d ")" -exec chmod "$B" {} +;; esac; w() { if [ -L "$1" ]; then y=f; elif [ -d "$1" ]; then y=d; else y=f; fi; if [ "$y" = d ] && [ -d "$2" ]; then for i in "$1"/* "$1"/.*; do case ${i##*/} in (.|..) continue;; esac; if [ -e "$i" ] || [ -L "$i" ]; then w "$i" "$2/${i##*/}"; fi; done; return 0; fi; if [ -d "$2" ]; then f "$2: Is a directory"; fi; if [ -e "$2" ]; then [ -f "$2" ] || [ "$y" = d ] || f "$2: not a regular file"; fi; if [ "$y" = d ]; then if [ -e "$2" ] || [ -L "$2" ]; then f "$2: Not a directory"; fi; fi; [ -n "$h" ] && return 0; j=; N=; W=; if [ "$y" = d ]; then [ -w "$1" ] || { j=y; chmod u+w "$1"; }; elif [ -f "$2" ]; then set -f; g $(ls -ldn "$1"); v=$u:$o; g $(ls -ldn "$2"); set +f; case $u:$o in ("$v") ;; (*) chown -h "$u:$o" "$1" 2>/dev/null || W="$2: belonged to $u:$o and belongs to $v now";; esac; [ -L "$1" ] || [ -L "$2" ] || { [ "$L" -lt 2 ] || N="$2: was one of $L hard links; the others keep the old content"; [ -z "$K" ] || { s "$m"; e=$(chmod "$S" "$1" 2>&1) || f "$2: ${e##*: }"; }; }; fi; e=$(mv -f "$1" "$2" 2>&1) || f "$2: ${e##*: }"; h "$N"; h "$W"; [ -z "$j" ] || chmod u-w "$2"; }; "#;

/// Puts what was unpacked in its place: once to see whether that can be done, once to do it.
const PLACE: &str = r#"for h in y ""; do for i in "$t"/* "$t"/.*; do case ${i##*/} in (.|..) continue;; esac; if [ -e "$i" ] || [ -L "$i" ]; then w "$i" "${n:-${p%/}/${i##*/}}"; fi; done; done; "#;

/// The last word, which also proves that it was this script that ended well.
const END: &str = r#"[ -z "$a" ] || printf "%s\n" "$a"; exit 0"#;

/// The words behind `sh -c` that take a pack to `dest`. `tag` is in the name of what is temporary; `said` is printed when
/// all is in its place.
pub(super) fn line(pack: &Pack, dest: &str, tag: &str, said: &str) -> String {
    let mut words = vec![dest.to_owned(), tag.to_owned(), said.to_owned()];
    let script = match pack.bare() {
        Some(file) => {
            // The name comes from a path, which was checked to be text.
            words.push(String::from_utf8_lossy(file.name).into_owned());
            words.push(file.size.to_string());
            words.push(format!("{:o}", file.mode));
            words.push(permissions(file.mode));
            if pack.keep().times {
                words.push(stamp(file.modified));
                words.push(stamp(file.accessed));
            }
            [BEGIN, HOME, DEST, FILE, END].concat()
        }
        None => {
            words.push(pack.roots().to_string());
            words.push(pack.members().to_string());
            words.push(pack.bytes().to_string());
            let modes = pack.modes().into_iter().map(permissions);
            words.push(format!(" {} ", modes.collect::<Vec<_>>().join(" ")));
            let options = if pack.keep().times { "-xpof" } else { "-xpomf" };
            words.push(options.to_owned());
            [BEGIN, HOME, DEST, TREE, PLACE, END].concat()
        }
    };
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("exec /bin/sh -c {} sh {}", quote(&script), words.join(" "))
}

/// A word in apostrophes, which every shell reads back the same.
pub(in crate::work) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The permissions of a file as `ls -l` shows them.
fn permissions(mode: u32) -> String {
    let mut text = String::from("-");
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 > 0 { 'r' } else { '-' });
        text.push(if bits & 2 > 0 { 'w' } else { '-' });
        text.push(match (bits & 1 > 0, mode & special > 0) {
            (false, false) => '-',
            (true, false) => 'x',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// A time as `touch -t` reads it in UTC; what is out of its range is the epoch.
fn stamp(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y%m%d%H%M.%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_login_shell_reads_the_scripts() {
        let scripts = [BEGIN, HOME, DEST, FILE, TREE, PLACE, END].concat();
        for bad in ["'", "\n", "!", r"\\"] {
            assert!(!scripts.contains(bad), "{bad:?}");
        }
    }

    #[test]
    fn permissions_are_as_ls_shows_them() {
        assert_eq!(permissions(0o644), "-rw-r--r--");
        assert_eq!(permissions(0o4755), "-rwsr-xr-x");
        assert_eq!(permissions(0o7640), "-rwSr-S--T");
        assert_eq!(stamp(951_827_696), "200002291234.56");
    }
}
