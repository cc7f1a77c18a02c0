//! Command lines by chance: each kind of option and operand, and operands with a slip of the keys.

use std::path::Path;

use super::Case;

/// Random numbers that come again with the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap_or(0)
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

/// An index, most often small, sometimes padded.
fn index(dice: &mut Dice) -> String {
    let limit = [4, 12, 30, 120, 1200][dice.roll(5)];
    let number = dice.roll(limit);
    match dice.roll(6) {
        0 => format!("{number:02}"),
        1 if dice.one_in(2) => format!("{number:03}"),
        _ => number.to_string(),
    }
}

fn range(dice: &mut Dice, negative: bool) -> String {
    let (low, more) = (dice.roll(14), dice.roll(9));
    let high = low + more;
    match dice.roll(9) {
        0 => format!("{low:02}-{high:02}"),
        1 => format!("{low:03}-{high:03}"),
        2 => format!("{low}-{}/{}", high + 4, dice.roll(4) + 1),
        3 | 4 => index(dice),
        5 => format!("{}-{}", low + 95, high + 97),
        6 if negative => format!("-{}-{more}", dice.roll(5) + 1),
        _ => format!("{low}-{high}"),
    }
}

/// Positions in a set, of which negative ones count from its end.
fn positions(dice: &mut Dice) -> String {
    let from = i32::try_from(dice.roll(30)).unwrap_or(0) - 15;
    if dice.one_in(3) {
        return from.to_string();
    }
    let to = from + i32::try_from(dice.roll(12)).unwrap_or(0);
    format!("{from}-{to}{}", dice.pick(&["", "", "/2", "/3"]))
}

fn rangeset(dice: &mut Dice) -> String {
    let ranges: Vec<String> = (0..=dice.roll(3)).map(|_| range(dice, false)).collect();
    ranges.join(",")
}

/// A name in which each `%` is an index or a range set.
fn pattern(dice: &mut Dice, shapes: &[&str]) -> String {
    let mut out = String::new();
    for char in dice.pick(shapes).chars() {
        match char {
            '%' if dice.one_in(2) => out.push_str(&index(dice)),
            '%' => out.push_str(&format!("[{}]", rangeset(dice))),
            char => out.push(char),
        }
    }
    out
}

const SHAPES: &[&str] = &[
    "n%", "n%", "n%", "m%", "n%x", "%", "node", "a%b%", "a%b%", "a%b%", "x%y%z%", "n%-ib%", "é%",
    "s p%",
];
const GRIDS: &[&str] = &["a%b%", "a%b%", "x%y%z%"];
const SPECIAL: &[&str] = &[
    "@adm",
    "@io",
    "@compute",
    "@racks:r1",
    "@racks:r[1-3]",
    "@racks:lst",
    "@*",
    "@racks:*",
    "@up:web",
    "@nogroup",
    "@@",
    "@@racks",
    "n*",
    "n?",
    "*",
    "n[1-3]*",
    "*[3-8]",
    "a*b?",
    "zz*",
    "@grid",
    "@empty",
    "@",
    "@roles:gpu",
    "@roles:@",
    "@roles:@adm",
    "@x:@y",
    "@:@",
    "@:adm",
    "@:*",
    "@@:",
    "@@*",
    "@roles:",
    "@bare:web",
    "@bare:*",
    "@mute:four",
    "@mute:*",
    "@sour:some",
    "@@sour",
    "@both:g[1-2]",
    "@both:g9",
    "@both:*",
    "@both:no",
    "@wild:*",
    "@wild:w",
    "@turn:lo",
    "@turn:*",
    "@@turn",
    "@many:*",
    "@@many",
];
const WRONG: &[&str] = &[
    "n[1-010]",
    "n[5-1]",
    "n[1-5/0]",
    "n[1/2]",
    "n[1-5/a]",
    "n[]",
    "n[1,]",
    "n[a]",
    "n[-01]",
    "n[1-5/2]5",
    "n[1",
    "n1]",
    "n[1]]",
    "n[[1]]",
    "n[1-2][3-4]",
    "n1,,n2",
    "n1,",
    ",",
    "!n1",
    "n1!!n2",
    "@nosrc:x",
    "@@nosrc",
    "n]1[",
    "@adm[",
    "n1,&n2",
    "n[1]5[2]",
    "n[1-2],x,y]",
    "n[ ]",
    "n[1--3]",
    "n[::1]",
    "n[1-2000000000]",
    "n[-3/2]",
    "n[-3/0]",
    "n[-03/2]",
    "n[1,]5",
    "n[,1]5",
    "n[]5",
    "n[ ]5",
    "n[1 - 3]5",
    "n[1- 3]5",
    "n[1 ]5",
    "n5[1 - 3]",
    "n5[1,]",
    "n5[]",
    "n[1-3/02]",
    "n[1-3 / 2]",
];

fn expression(dice: &mut Dice) -> String {
    let shapes = if dice.one_in(3) { GRIDS } else { SHAPES };
    let mut out = String::new();
    for place in 0..=dice.roll(4) {
        if place > 0 {
            out.push_str(dice.pick(&[",", ",", ",", ",", "!", "!", "&", "^", " , ", "! "]));
        }
        match dice.roll(40) {
            0..5 => out.push_str(dice.pick(SPECIAL)),
            5 => out.push_str(&format!("n[{}]", range(dice, true))),
            6 => out.push_str(&format!("n[1-{}]{}", dice.roll(12) + 1, dice.roll(30))),
            7 => out.push_str(&format!("n{}[1-{}]", dice.roll(30), dice.roll(8) + 2)),
            8 if dice.one_in(4) => out.push_str(dice.pick(WRONG)),
            _ => out.push_str(&pattern(dice, shapes)),
        }
    }
    out
}

/// Many irregular names of more than one dimension.
fn grid(dice: &mut Dice) -> String {
    let (width, height, depth) = (dice.roll(12) + 1, dice.roll(12) + 1, dice.roll(3) + 1);
    let deep = dice.one_in(3);
    let names: Vec<String> = (0..dice.roll(60))
        .map(|_| {
            let (a, b) = (dice.roll(width), dice.roll(height));
            let padding = usize::from(dice.one_in(12)) + 1;
            if deep {
                format!("a{a}b{b:0padding$}c{}", dice.roll(depth))
            } else {
                format!("a{a:0padding$}b{b}")
            }
        })
        .collect();
    names.join(",")
}

fn operand(dice: &mut Dice) -> String {
    let text = if dice.one_in(5) {
        grid(dice)
    } else {
        expression(dice)
    };
    if !dice.one_in(12) {
        return text;
    }
    let slipped = slip(dice, &text);
    if is_told_apart(&slipped) {
        text
    } else {
        slipped
    }
}

/// The text with a character or two more, fewer or others.
fn slip(dice: &mut Dice, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.roll(2) {
        let at = dice.roll(chars.len() + 1);
        let char = char::from(b"[],-/,@:! &^*?0123nx.%#"[dice.roll(23)]);
        match dice.roll(3) {
            0 if at < chars.len() => {
                chars.remove(at);
            }
            1 if at < chars.len() => chars[at] = char,
            _ => chars.insert(at, char),
        }
    }
    chars.into_iter().collect()
}

/// Whether the text may have one of the differences on the list: two dots between numbers, digits beside brackets where
/// those hold negative numbers or numbers of different lengths, two dashes in a range, very many indexes.
fn is_told_apart(text: &str) -> bool {
    let digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_digit());
    let mut pieces = text.split("..");
    let mut before = pieces.next().unwrap_or_default();
    for piece in pieces {
        if digit(before.chars().next_back()) && digit(piece.chars().next()) {
            return true;
        }
        before = piece;
    }
    let mut before = "";
    for (place, piece) in text.split('[').enumerate() {
        let (list, behind) = match piece.split_once(']') {
            Some(parts) if place > 0 => parts,
            Some(_) | None => ("", piece),
        };
        if place > 0 {
            let (leads, trails) = (
                digit(before.chars().next_back()),
                digit(behind.chars().next()),
            );
            for item in list.split(',') {
                let item: String = item.split_whitespace().collect();
                let (base, _) = item.split_once('/').unwrap_or((&item, ""));
                let from = base.find(|char| char != '-').unwrap_or(base.len());
                let (low, high) = base[from..].split_once('-').unwrap_or((&base[from..], ""));
                let is_odd = from > 1
                    || high.get(1..).is_some_and(|rest| rest.contains('-'))
                    || leads && !high.is_empty() && high.len() != low.len()
                    || trails && high.starts_with('-');
                if is_odd || (leads || trails) && from > 0 || item.len() > 14 {
                    return true;
                }
            }
        }
        before = behind;
    }
    false
}

pub(super) fn case(dice: &mut Dice, home: &Path) -> Case {
    let mut argv = vec![format!("--groupsconf={}/groups.conf", home.display())];
    let push = |argv: &mut Vec<String>, words: &[&str]| {
        argv.extend(words.iter().map(|word| (*word).to_owned()))
    };
    let ranges = dice.one_in(8);
    let operand = |dice: &mut Dice| {
        if ranges && dice.one_in(30) {
            dice.pick(&["", " ", "-", "n1", "1-", "5-1"]).to_owned()
        } else if ranges {
            rangeset(dice)
        } else {
            operand(dice)
        }
    };
    let command = dice.pick(if ranges {
        &[
            "-f", "-f", "-f", "-e", "-c", "-fR", "-l", "-ll", "-lll", "-L",
        ]
    } else {
        &[
            "-f",
            "-f",
            "-f",
            "-f",
            "--fold",
            "-e",
            "-e",
            "-c",
            "--count",
            "-r",
            "-r",
            "-l",
            "-ll",
            "-lll",
            "-L",
            "-LL",
            "-ef",
            "-q",
            "--completion",
        ]
    });
    push(&mut argv, &[command]);
    if ranges {
        push(&mut argv, &["-R"]);
    }
    for _ in 0..dice.roll(5) {
        match dice.roll(26) {
            // In lists it holds for names with several indexes, too, other than there.
            0 | 1 if command.starts_with("-l") || command.starts_with("-L") => {}
            0 | 1 => push(
                &mut argv,
                &[
                    "--autostep",
                    dice.pick(&["2", "3", "4", "auto", "50%", "80%", "100%", "0", "x"]),
                ],
            ),
            2 | 3 => push(
                &mut argv,
                &[
                    "--axis",
                    dice.pick(&["1", "2", "1-2", "-1", "-2", "3", "0", "1,3", "x", "-1-2"]),
                ],
            ),
            4 => push(
                &mut argv,
                &[
                    "-S",
                    dice.pick(&[
                        ",", "\\n", "", "\\x41", "'", "é", "\\t", " , ", "''", "a''", "''a", "'''",
                        "\"\"", "a'", "'a'b", "''' ",
                    ]),
                ],
            ),
            5 | 6 => push(
                &mut argv,
                &[
                    "-O",
                    dice.pick(&[
                        "x%s", "%s-ib0", "%s.x", "%s0", "%%%s", "%5s", "%d", "x", "%s%s", "%-7s|",
                        "%", "%s5%%",
                    ]),
                ],
            ),
            7 | 8 => {
                let positions: Vec<String> = (0..=dice.roll(3)).map(|_| positions(dice)).collect();
                push(&mut argv, &[&format!("--slice={}", positions.join(","))]);
            }
            9 | 10 => push(
                &mut argv,
                &[
                    "--split",
                    dice.pick(&["1", "2", "3", "7", "100", "0", "-2", "x"]),
                ],
            ),
            11 => push(&mut argv, &["--contiguous"]),
            12 => push(
                &mut argv,
                &[dice.pick(&["--pick=0", "--pick=-1", "--pick=100000", "--pick=x"])],
            ),
            13 => push(&mut argv, &["-a"]),
            14 => push(
                &mut argv,
                &[
                    "-s",
                    dice.pick(&[
                        "racks", "up", "roles", "nosrc", "bare", "mute", "sour", "sick", "both",
                        "wild", "turn", "many",
                    ]),
                ],
            ),
            // Where it lists all sources the original looks the groups up in the default source then.
            15 if !command.starts_with("-L") => push(&mut argv, &["-G"]),
            16 => push(&mut argv, &["-q"]),
            17..20 => {
                let mut text = operand(dice);
                // A group's name with a line end in it is refused here, and so is a range with one behind its dash.
                if dice.one_in(6) && !ranges && !text.contains('@') {
                    text.push('\n');
                    text.push_str(&operand(dice));
                }
                push(
                    &mut argv,
                    &[dice.pick(&["-x", "-i", "-X", "--exclude", "--xor"]), &text],
                );
            }
            20 if dice.one_in(3) => push(
                &mut argv,
                &[dice.pick(&[
                    "--s",
                    "--bad",
                    "-Z",
                    "--groupsources",
                    "--completion",
                    "--fold=1",
                ])],
            ),
            21 if dice.one_in(2) => push(
                &mut argv,
                &[
                    "--index",
                    dice.pick(&["n1", "n3", "a1b1", "a2b2", "n[1-2]", "5"]),
                ],
            ),
            _ => {}
        }
    }
    for _ in 0..dice.roll(4) {
        if dice.one_in(4) {
            push(
                &mut argv,
                &[dice.pick(&["-x", "-i", "-X", "--exclude", "--intersection", "--xor"])],
            );
        }
        let word = match dice.roll(40) {
            0 | 1 => "-".into(),
            2 => String::new(),
            3 => {
                let text = operand(dice);
                match ranges || text.contains('@') {
                    true => text,
                    false => text + dice.pick(&["\n", "\r\n", "\n\n"]) + &operand(dice),
                }
            }
            _ => operand(dice),
        };
        argv.push(word);
    }
    let mut stdin = String::new();
    for _ in 0..dice.roll(4) {
        let text = operand(dice);
        stdin.push_str(&text.replace(' ', ""));
        stdin.push_str(dice.pick(&[" ", "\n", "\n", " # comment\n", "\t", "\n\n"]));
    }
    // Without the end of its last line the original loses a character.
    stdin.push('\n');
    Case { argv, stdin }
}
