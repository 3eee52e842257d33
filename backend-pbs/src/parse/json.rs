use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::repair::{is_whole, members, repair};
use super::{Answer, Record};

/// Reads the answer of `qstat -f -F json`. The error is the end of an answer that is none.
///
/// Text around the object is left out. Where it is no JSON, as PBS has printed in some versions (raw
/// control characters and quotes in `Variable_List`, numbers with a leading zero), it is repaired, and
/// then each job is read for itself: one that cannot be read is not known. An answer that was cut off is
/// none: the job that is missing may be there all the same.
pub(crate) fn answer(text: &str) -> Result<Answer, String> {
    let Some(start) = text.find('{') else {
        return Err(excerpt(text));
    };
    let text = &text[start..];
    match read(text) {
        Ok(answer) => return Ok(answer),
        Err(error) => tracing::debug!(%error, "the answer of `qstat` is not JSON"),
    }
    let repaired = repair(text);
    if let Ok(answer) = read(&repaired) {
        return Ok(answer);
    }
    if !is_whole(&repaired) {
        return Err(excerpt(text));
    }
    let mut answer = Answer::default();
    let jobs = members(&repaired).find(|(name, _)| *name == "Jobs");
    let (_, jobs) = jobs.ok_or_else(|| excerpt(text))?;
    for (id, job) in members(jobs) {
        let mut record = Record::new(id);
        let mut from = serde_json::Deserializer::from_str(job);
        match (Attributes {
            record: &mut record,
            prefix: "",
        })
        .deserialize(&mut from)
        {
            Ok(()) => answer.records.push(record),
            Err(error) => tracing::warn!(id, %error, "could not read what `qstat` says of a job"),
        }
    }
    Ok(answer)
}

/// The end of what could not be read, for the error.
fn excerpt(text: &str) -> String {
    let mut start = text.len().saturating_sub(200);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

fn read(text: &str) -> Result<Answer, serde_json::Error> {
    let mut answer = Answer::default();
    // Without `end`: what comes after the object is not looked at.
    Top(&mut answer).deserialize(&mut serde_json::Deserializer::from_str(text))?;
    Ok(answer)
}

/// The object that `qstat` prints.
struct Top<'a>(&'a mut Answer);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of `qstat -F json`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_answer = false;
        while let Some(Text(key)) = map.next_key()? {
            match key.as_deref() {
                Some("timestamp") => {
                    is_answer = true;
                    self.0.now = seconds(map.next_value::<Text<'de>>()?.0.as_deref());
                }
                Some("Jobs") => {
                    is_answer = true;
                    map.next_value_seed(Jobs(self.0))?;
                }
                key => {
                    is_answer |= key.is_some_and(|key| key.starts_with("pbs_"));
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if is_answer {
            Ok(())
        } else {
            Err(A::Error::custom("nothing that `qstat` says is in it"))
        }
    }
}

fn seconds(text: Option<&str>) -> Option<SystemTime> {
    let seconds = text?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// `"Jobs": {"20.localhost": {...}}`.
struct Jobs<'a>(&'a mut Answer);

impl<'de> DeserializeSeed<'de> for Jobs<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Jobs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("jobs by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(id)) = map.next_key()? {
            let mut record = Record::new(id.unwrap_or_default());
            map.next_value_seed(Attributes {
                record: &mut record,
                prefix: "",
            })?;
            self.0.records.push(record);
        }
        Ok(())
    }
}

/// The attributes of a job, or of a group within one. Attributes that come twice count as the last.
struct Attributes<'a> {
    record: &'a mut Record,
    prefix: &'a str,
}

impl<'de> DeserializeSeed<'de> for Attributes<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Attributes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes of a job")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let key = key.unwrap_or_default();
            if !self.prefix.is_empty() {
                let name = format!("{}.{key}", self.prefix);
                if let Text(Some(value)) = map.next_value()? {
                    self.record.set(&name, &value);
                }
            } else if key == "resources_used" {
                map.next_value_seed(Attributes {
                    record: &mut *self.record,
                    prefix: "resources_used",
                })?;
            } else if Record::wants(&key) {
                if let Text(Some(value)) = map.next_value()? {
                    self.record.set(&key, &value);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A value as text, whatever type it was written as: PBS writes texts that look like numbers as numbers.
/// None for an object or a list.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Text<'de>, E> {
                let word = if truth { "True" } else { "False" };
                Ok(Text(Some(Cow::Borrowed(word))))
            }
            fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        from.deserialize_any(AsText)
    }
}
