//! JSON written piece by piece, so that a document needs no more memory than one piece of it.

use std::io::{self, Write};

use data_encoding::BASE64;
use serde::Serialize;

use crate::gather::Output;

/// An object in the making.
pub(in crate::report) struct Object<'w> {
    out: &'w mut dyn Write,
    is_empty: bool,
}

impl<'w> Object<'w> {
    /// Begins one.
    pub(in crate::report) fn open(out: &'w mut dyn Write) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self {
            out,
            is_empty: true,
        })
    }

    fn name(&mut self, name: &str) -> io::Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.write_all(b":")
    }

    /// A field.
    pub(in crate::report) fn field(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> io::Result<()> {
        self.name(name)?;
        serde_json::to_writer(&mut *self.out, value)?;
        Ok(())
    }

    /// What was said: text under the name, other bytes as base64 under the name with `_b64`.
    pub(in crate::report) fn said(&mut self, name: &str, output: Output<'_>) -> io::Result<()> {
        let is_text = is_text(output)?;
        if is_text {
            self.name(name)?;
        } else {
            self.name(&format!("{name}_b64"))?;
        }
        self.out.write_all(b"\"")?;
        if is_text {
            for chunk in output.chunks() {
                escaped(self.out, &chunk?)?;
            }
        } else {
            base64(self.out, output)?;
        }
        self.out.write_all(b"\"")
    }

    /// A list.
    pub(in crate::report) fn list(&mut self, name: &str) -> io::Result<List<'_>> {
        self.name(name)?;
        self.out.write_all(b"[")?;
        Ok(List {
            out: self.out,
            is_empty: true,
        })
    }

    /// Ends it.
    pub(in crate::report) fn close(self) -> io::Result<()> {
        self.out.write_all(b"}")
    }
}

/// A list in the making.
pub(in crate::report) struct List<'w> {
    out: &'w mut dyn Write,
    is_empty: bool,
}

impl List<'_> {
    /// Where to write the next item.
    pub(in crate::report) fn item(&mut self) -> io::Result<&mut dyn Write> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.write_all(b",")?;
        }
        Ok(self.out)
    }

    /// Ends it.
    pub(in crate::report) fn close(self) -> io::Result<()> {
        self.out.write_all(b"]")
    }
}

/// Whether an output is UTF-8, wherever its chunks are cut.
fn is_text(output: Output<'_>) -> io::Result<bool> {
    // The start of a character whose end is in the next chunk.
    let mut cut: Vec<u8> = Vec::new();
    for chunk in output.chunks() {
        let chunk = chunk?;
        let joined;
        let mut bytes: &[u8] = &chunk;
        if !cut.is_empty() {
            joined = [&cut[..], bytes].concat();
            bytes = &joined;
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => cut.clear(),
            Err(error) if error.error_len().is_none() => {
                cut = bytes[error.valid_up_to()..].to_vec()
            }
            Err(_) => return Ok(false),
        }
    }
    Ok(cut.is_empty())
}

/// Writes text as the inside of a JSON string. Bytes of a character that was cut pass through as they are.
fn escaped(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
    {
        out.write_all(&rest[..at])?;
        match rest[at] {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            byte => write!(out, "\\u{byte:04x}")?,
        }
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

/// Writes bytes as base64, three at a time.
fn base64(out: &mut dyn Write, output: Output<'_>) -> io::Result<()> {
    let mut left: Vec<u8> = Vec::new();
    for chunk in output.chunks() {
        left.extend_from_slice(&chunk?);
        let whole = left.len() - left.len() % 3;
        out.write_all(BASE64.encode(&left[..whole]).as_bytes())?;
        left.drain(..whole);
    }
    out.write_all(BASE64.encode(&left).as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::gather::{Gather, PAGE};

    fn written(bytes: &[u8]) -> Value {
        let mut gather = Gather::default();
        gather.push(0, bytes).unwrap();
        let mut out = Vec::new();
        let mut object = Object::open(&mut out).unwrap();
        object.field("n", &1).unwrap();
        object.said("said", gather.output(0)).unwrap();
        let mut list = object.list("list").unwrap();
        for item in 0..3 {
            write!(list.item().unwrap(), "{item}").unwrap();
        }
        list.close().unwrap();
        object.list("none").unwrap().close().unwrap();
        object.close().unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        assert_eq!(
            written(b"a\"\\\n\r\t\x00\x1f/"),
            json!({ "n": 1, "said": "a\"\\\n\r\t\u{0}\u{1f}/", "list": [0, 1, 2], "none": [] })
        );
        assert_eq!(written(b"\xff")["said_b64"], "/w==");
        assert_eq!(
            written(b"x\xe2\x82")["said_b64"],
            "eOKC",
            "a character without its end"
        );
        assert_eq!(written(b"")["said"], "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn chunks_do_not_show(
            front in PAGE - 4..PAGE + 1,
            middle in "[€é\u{1F600}\"a\n]{0,8}",
            cut in 0usize..3,
            behind in 0usize..PAGE,
        ) {
            let mut bytes = vec![b'x'; front];
            bytes.extend_from_slice(middle.as_bytes());
            bytes.extend(std::iter::repeat_n(b'y', behind));
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            let value = written(&bytes);
            match std::str::from_utf8(&bytes) {
                Ok(text) => prop_assert_eq!(value["said"].as_str(), Some(text)),
                Err(_) => prop_assert_eq!(value["said_b64"].as_str(), Some(&*BASE64.encode(&bytes))),
            }
        }
    }
}
