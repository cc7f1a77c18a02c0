//! Streams of nodes that are honest, and of such as are not.

use super::*;

/// A header as a hostile node could make it, with what follows it.
fn member(name: &str, flag: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    sum(&mut block);
    let mut all = block.to_vec();
    all.extend_from_slice(content);
    all.resize(all.len().next_multiple_of(BLOCK), 0);
    all
}

/// Writes the sum of a header into it.
fn sum(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn unpack(root: &Path, stream: &[u8]) -> io::Result<usize> {
    let mut unpack = Unpack::new(root.to_owned(), false)?;
    // In parts that fit nothing.
    for part in stream.chunks(37) {
        unpack.push(part)?;
    }
    unpack.finish()?;
    Ok(unpack.files)
}

#[test]
fn nothing_is_written_outside_the_folder() {
    let around = tempfile::tempdir().unwrap();
    let root = around.path().join("it");
    let outside = around.path().display().to_string();
    let end = vec![0; 2 * BLOCK];
    let written = b"written";
    for (what, members) in [
        ("dots", vec![member("../evil", b'0', "", written)]),
        (
            "dots inside",
            vec![member("a/../../evil", b'0', "", written)],
        ),
        (
            "absolute",
            vec![member(&format!("{outside}/evil"), b'0', "", written)],
        ),
        (
            "through a link",
            vec![
                member("out", b'2', &outside, b""),
                member("out/evil", b'0', "", written),
            ],
        ),
        (
            "a link through a link",
            vec![
                member("out", b'2', &outside, b""),
                member("out/evil", b'2', "x", b""),
            ],
        ),
        ("hard link", vec![member("evil", b'1', "/etc/passwd", b"")]),
        (
            "hard link with dots",
            vec![member("evil", b'1', "../secret", b"")],
        ),
        ("device", vec![member("evil", b'3', "", b"")]),
        ("fifo", vec![member("evil", b'6', "", b"")]),
        (
            "attributes",
            vec![
                member("pax", b'x', "", b"16 path=../evil\n"),
                member("x", b'0', "", written),
            ],
        ),
        ("garbage", vec![vec![7; BLOCK]]),
    ] {
        let stream = [members.concat(), end.clone()].concat();
        assert!(unpack(&root, &stream).is_err(), "{what}");
        assert!(!around.path().join("evil").exists(), "{what}");
        fs::remove_dir_all(&root).unwrap();
    }
}

/// One that claims what it likes costs neither memory nor our place on the disk.
#[test]
fn what_is_claimed_is_not_believed() {
    let around = tempfile::tempdir().unwrap();
    let end = vec![0; 2 * BLOCK];
    let sized = |digits: &[u8]| {
        let mut all = member("big", b'0', "", b"");
        all[124..136].copy_from_slice(digits);
        sum(&mut all[..BLOCK]);
        all
    };
    let pax = |text: &str| member("pax", b'x', "", text.as_bytes());
    let record = |key: &str, value: &str| {
        let rest = key.len() + value.len() + 3;
        let length = rest + (rest + 4).to_string().len();
        format!("{length} {key}={value}\n")
    };
    let name = "n".repeat(5000);
    let many = (0..400_000).flat_map(|n| member(&format!("l{n}"), b'2', "to", b""));
    for (what, stream, said) in [
        (
            "a size that wraps",
            sized(&[0x80, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
            "impossible",
        ),
        (
            "the largest size",
            [
                pax(&record("size", &u64::MAX.to_string())),
                member("f", b'0', "", b""),
            ]
            .concat(),
            "impossible",
        ),
        ("a long name", pax(&record("path", &name)), "too long"),
        ("links without end", many.collect(), "too many links"),
        (
            "more behind the end",
            [member("f", b'0', "", b"x"), end.clone(), vec![7; 3]].concat(),
            "behind its end",
        ),
        (
            "zeros behind the end",
            [end.clone(), vec![0; 2 << 20]].concat(),
            "behind its end",
        ),
    ] {
        let root = around.path().join(what);
        let error = unpack(&root, &stream).unwrap_err().to_string();
        assert!(error.contains(said), "{what}: {error}");
    }
    // What is of no use is passed over, however much it is.
    let mut unpack = Unpack::new(around.path().join("pax"), false).unwrap();
    for n in 0..100 {
        unpack
            .push(&pax(&record(&format!("SCHILY.xattr.user.{n}"), &name)))
            .unwrap();
    }
    assert!(unpack.extra.is_empty());
    unpack
        .push(&[member("f", b'0', "", b"x"), end].concat())
        .unwrap();
    assert!(unpack.finish().is_ok());
}

#[test]
fn a_stream_that_is_cut_is_no_success() {
    let around = tempfile::tempdir().unwrap();
    let stream = [member("file", b'0', "", &[1; 700]), vec![0; 2 * BLOCK]].concat();
    for length in [0, 100, BLOCK, BLOCK + 300, 3 * BLOCK] {
        let root = around.path().join(format!("cut {length}"));
        let error = unpack(&root, &stream[..length]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}");
    }
    assert_eq!(unpack(&around.path().join("whole"), &stream).unwrap(), 1);
}
