//! Random vectors.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

use reflow_tests::Random;
use serde_json::Value;

/// Returns another seed for each run.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Makes vectors.
#[derive(Debug)]
pub(crate) struct Vectors(Random);

impl Vectors {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next()
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0.below(limit)
    }

    fn text(&mut self) -> String {
        let length = self.below(30);
        let text: String = (0..length)
            .map(|_| match self.below(4) {
                0 => char::from(self.below(128) as u8),
                1 => char::from_u32(self.below(0x800) as u32).unwrap_or('x'),
                2 => char::from_u32(self.below(0x11_0000) as u32).unwrap_or('y'),
                _ => char::from(b'a' + self.below(26) as u8),
            })
            .collect();
        Value::from(text).to_string()
    }

    /// Of any width, near its bounds too.
    fn integer(&mut self) -> String {
        let size = self.below(65);
        let number = i128::from(self.next() >> (64 - size.max(1)).min(63));
        let edge = (1i128 << size) + i128::from(self.below(3)) - 1;
        let number = if self.below(2) == 0 { number } else { edge };
        let number = if self.below(2) == 0 { number } else { -number };
        number
            .clamp(i128::from(i64::MIN), i128::from(u64::MAX))
            .to_string()
    }

    fn float(&mut self) -> String {
        let number = match self.below(4) {
            // Every double that JSON can say.
            0 => f64::from_bits(self.next()),
            1 => f64::from(f32::from_bits(self.next() as u32)),
            2 => self.below(1 << 20) as f64 / f64::from(1u32 << self.below(30)),
            // Longer than any double needs: what counts is the nearest one.
            _ => {
                return format!(
                    "{}.{}{}e{}",
                    self.below(10),
                    self.next(),
                    self.next(),
                    self.below(600) as i64 - 300
                );
            }
        };
        if number.is_finite() {
            format!("{number:?}")
        } else {
            "1e5".to_owned()
        }
    }

    fn json(&mut self, depth: u32) -> String {
        match self.below(if depth > 0 { 8 } else { 6 }) {
            0 => "null".to_owned(),
            1 => (self.below(2) == 0).to_string(),
            2 => self.integer(),
            3 => self.float(),
            4 | 5 => self.text(),
            6 => self.list(|random| random.json(depth - 1)),
            _ => {
                let length = self.below(6);
                let mut names = std::collections::BTreeSet::new();
                let mut text = String::from("{");
                for _ in 0..length {
                    let name = self.text();
                    if names.insert(name.clone()) {
                        let comma = if text.len() > 1 { "," } else { "" };
                        let value = self.json(depth - 1);
                        let _ = write!(text, "{comma}{name}:{value}");
                    }
                }
                text + "}"
            }
        }
    }

    fn list(&mut self, mut entry: impl FnMut(&mut Self) -> String) -> String {
        let length = match self.below(10) {
            0 => 30,
            _ => self.below(5),
        };
        let entries: Vec<String> = (0..length).map(|_| entry(self)).collect();
        format!("[{}]", entries.join(","))
    }

    /// A type, and how a value of it is made.
    fn typed(&mut self, depth: u32) -> (String, String) {
        match self.below(if depth > 0 { 11 } else { 8 }) {
            0 => ("int".to_owned(), self.integer()),
            1 => ("float".to_owned(), self.float()),
            2 => ("str".to_owned(), self.text()),
            3 => ("json".to_owned(), self.json(3)),
            4 => ("bool".to_owned(), (self.below(2) == 0).to_string()),
            5 => ("path".to_owned(), self.path()),
            6 => ("file".to_owned(), self.path()),
            7 => ("none".to_owned(), "null".to_owned()),
            8 => {
                let (ty, value) = self.typed(depth - 1);
                let is_null = self.below(3) == 0;
                let value = if is_null { "null".to_owned() } else { value };
                (format!("optional[{ty}]"), value)
            }
            9 => {
                let (ty, value) = self.typed(depth - 1);
                (format!("{ty}@pickle"), value)
            }
            _ => {
                // Of one type, so of one value: what others are like is shown by the other vectors.
                let (ty, value) = self.typed(depth - 1);
                let entries = self.list(|_| value.clone());
                (format!("list[{ty}]"), entries)
            }
        }
    }

    fn path(&mut self) -> String {
        const PATHS: [&str; 6] = [
            "/runs/a",
            "/runs/a/",
            "/runs/a/x/y",
            "/runs/a//x",
            "/runs/ab",
            "/data/ä b",
        ];
        Value::from(PATHS[self.below(6) as usize]).to_string()
    }

    fn digest(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next()).repeat(2)
    }

    /// What is around a value: files by path, and where it was made.
    fn context(&mut self) -> String {
        let mut files = Vec::new();
        for path in [
            "/runs/a",
            "/runs/a/",
            "/runs/a/x/y",
            "/runs/a//x",
            "/runs/ab",
            "/data/ä b",
        ] {
            let kind = if self.below(2) == 0 {
                "file"
            } else {
                "directory"
            };
            files.push(format!("\"{path}\":[\"{kind}\",\"{}\"]", self.digest()));
        }
        let execution = match self.below(2) {
            0 => String::new(),
            _ => format!(",\"execution\":\"{}\"", self.digest()),
        };
        format!(
            "\"run_dir\":\"/runs/a\",\"files\":{{{}}}{execution}",
            files.join(",")
        )
    }

    fn task(&mut self) -> String {
        let scope = ["null", "[\"w\",null]", "[\"w\",\"flow\"]"][self.below(3) as usize];
        let texts = [self.text(), self.text()];
        let [version, code] = texts.map(|text| {
            if text.len() > 20 {
                "null".to_owned()
            } else {
                text
            }
        });
        let (returns, _) = self.typed(2);
        let mut parameters = Vec::new();
        for number in 0..self.below(6) {
            let (ty, value) = self.typed(2);
            let given = match self.below(5) {
                0 => "\"mode\":\"direct\"".to_owned(),
                1 => "\"mode\":\"collect\"".to_owned(),
                2 => "\"mode\":\"spread\"".to_owned(),
                3 => "\"mode\":\"run_dir\"".to_owned(),
                _ => format!("\"plain\":{value}"),
            };
            let letter = char::from(b'A' + self.below(26) as u8);
            parameters.push(format!(
                "{{\"name\":\"{letter}{}\",\"type\":{},{given}}}",
                10 - number,
                Value::from(ty)
            ));
        }
        let context = self.context();
        format!(
            "{{\"scope\":{scope},\"name\":\"count\",\"version\":{version},\"code\":{code},\"returns\":{},\
             \"parameters\":[{}],{context}}}",
            Value::from(returns),
            parameters.join(",")
        )
    }

    /// Returns a vector as a line of JSON.
    pub(crate) fn vector(&mut self, number: u32) -> String {
        let (kind, input) = match number % 4 {
            0 => ("cbor", self.json(4)),
            1 => {
                let (ty, value) = self.typed(4);
                let context = self.context();
                let ty = Value::from(ty);
                (
                    "value",
                    format!("{{\"type\":{ty},\"value\":{value},{context}}}"),
                )
            }
            2 => ("task", self.task()),
            _ => {
                let inputs: Vec<String> = (0..self.below(5))
                    .map(|place| {
                        let letter = char::from(b'A' + self.below(26) as u8);
                        format!("\"{letter}{place}\":\"{}\"", self.digest())
                    })
                    .collect();
                let task = self.digest();
                (
                    "element",
                    format!(
                        "{{\"task\":\"{task}\",\"inputs\":{{{}}}}}",
                        inputs.join(",")
                    ),
                )
            }
        };
        format!("{{\"name\":\"random-{number}\",\"kind\":\"{kind}\",\"input\":{input}}}")
    }
}
