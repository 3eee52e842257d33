//! Deterministic CBOR (RFC 8949, section 4.2.1), as far as identities need it.

use serde_json::Value;

/// Writes one CBOR item after the other. A caller that announces an array writes as many items.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

impl Encoder {
    /// Returns an encoder that has written the head of an array of `length` items, the first of which is
    /// the text `domain`.
    pub fn tagged(length: usize, domain: &str) -> Self {
        let mut encoder = Self::default();
        encoder.array(length).text(domain);
        encoder
    }

    /// Returns what was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn head(&mut self, major: u8, number: u64) -> &mut Self {
        let major = major << 5;
        match number {
            0..=23 => self.bytes.push(major | number as u8),
            24..=0xff => self.bytes.extend([major | 0x18, number as u8]),
            0x100..=0xffff => {
                self.bytes.push(major | 0x19);
                self.bytes.extend((number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.bytes.push(major | 0x1a);
                self.bytes.extend((number as u32).to_be_bytes());
            }
            _ => {
                self.bytes.push(major | 0x1b);
                self.bytes.extend(number.to_be_bytes());
            }
        }
        self
    }

    /// Writes the head of an array.
    pub fn array(&mut self, length: usize) -> &mut Self {
        self.head(ARRAY, length as u64)
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(TEXT, text.len() as u64);
        self.bytes.extend(text.as_bytes());
        self
    }

    /// Writes a text or null.
    pub fn optional_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    /// Writes a byte string.
    pub fn byte_string(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(BYTES, bytes.len() as u64);
        self.bytes.extend(bytes);
        self
    }

    /// Writes null.
    pub fn null(&mut self) -> &mut Self {
        self.bytes.push(0xf6);
        self
    }

    /// Writes a float in the shortest form that keeps its value.
    pub fn float(&mut self, value: f64) -> &mut Self {
        let single = value as f32;
        if value.is_nan() {
            self.bytes.extend([0xf9, 0x7e, 0x00]);
        } else if f64::from(single).to_bits() != value.to_bits() {
            self.bytes.push(0xfb);
            self.bytes.extend(value.to_be_bytes());
        } else if let Some(half) = half(single) {
            self.bytes.push(0xf9);
            self.bytes.extend(half.to_be_bytes());
        } else {
            self.bytes.push(0xfa);
            self.bytes.extend(single.to_be_bytes());
        }
        self
    }

    /// Writes a JSON value. A number that was written with a fraction or an exponent is a float.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => {
                self.bytes.push(0xf4 | u8::from(*value));
                self
            }
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    self.head(UNSIGNED, number)
                } else if let Some(number) = number.as_i64() {
                    // Below zero: a negative n is written as -1 - n.
                    self.head(NEGATIVE, !number as u64)
                } else {
                    self.float(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => self.text(text),
            Value::Array(values) => {
                self.array(values.len());
                for value in values {
                    self.value(value);
                }
                self
            }
            Value::Object(map) => {
                let mut entries: Vec<(Vec<u8>, &Value)> = map
                    .iter()
                    .map(|(key, value)| {
                        let mut encoded = Self::default();
                        encoded.text(key);
                        (encoded.bytes, value)
                    })
                    .collect();
                entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                self.head(MAP, entries.len() as u64);
                for (key, value) in entries {
                    self.bytes.extend(key);
                    self.value(value);
                }
                self
            }
        }
    }
}

/// Returns a float of 16 bits with the same value, if there is one.
fn half(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    let fraction = bits & 0x7f_ffff;
    match exponent {
        // Zero. What a float of 32 bits cannot hold but as subnormal is too small for 16.
        -127 => (fraction == 0).then_some(sign),
        // Infinity.
        128 => (fraction == 0).then_some(sign | 0x7c00),
        -14..=15 if fraction.trailing_zeros() >= 13 => {
            Some(sign | ((exponent + 15) as u16) << 10 | (fraction >> 13) as u16)
        }
        // Subnormal: a multiple of 2^-24 below 2^-14.
        -24..=-15 => {
            let shift = (-1 - exponent) as u32;
            let whole = fraction | 0x80_0000;
            (whole.trailing_zeros() >= shift).then(|| sign | (whole >> shift) as u16)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(value: &Value) -> String {
        data_encoding::HEXLOWER.encode(Encoder::default().value(value).as_bytes())
    }

    /// The examples of RFC 8949, appendix A, as far as JSON can say them.
    #[test]
    fn the_examples_of_the_standard() {
        for (value, expected) in [
            (json!(0), "00"),
            (json!(10), "0a"),
            (json!(23), "17"),
            (json!(24), "1818"),
            (json!(100), "1864"),
            (json!(1000), "1903e8"),
            (json!(1_000_000), "1a000f4240"),
            (json!(1_000_000_000_000u64), "1b000000e8d4a51000"),
            (json!(u64::MAX), "1bffffffffffffffff"),
            (json!(-1), "20"),
            (json!(-10), "29"),
            (json!(-100), "3863"),
            (json!(-1000), "3903e7"),
            (json!(i64::MIN), "3b7fffffffffffffff"),
            (json!(0.0), "f90000"),
            (json!(-0.0), "f98000"),
            (json!(1.0), "f93c00"),
            (json!(1.1), "fb3ff199999999999a"),
            (json!(1.5), "f93e00"),
            (json!(65504.0), "f97bff"),
            (json!(100_000.0), "fa47c35000"),
            (json!(3.402_823_466_385_288_6e38), "fa7f7fffff"),
            (json!(1.0e300), "fb7e37e43c8800759c"),
            (json!(5.960_464_477_539_063e-8), "f90001"),
            (json!(0.000_061_035_156_25), "f90400"),
            (json!(-4.0), "f9c400"),
            (json!(-4.1), "fbc010666666666666"),
            (json!(false), "f4"),
            (json!(true), "f5"),
            (json!(null), "f6"),
            (json!(""), "60"),
            (json!("IETF"), "6449455446"),
            (json!("\u{fc}"), "62c3bc"),
            (json!("\u{6c34}"), "63e6b0b4"),
            (json!([]), "80"),
            (json!([1, [2, 3], [4, 5]]), "8301820203820405"),
            (json!({}), "a0"),
            (json!({"b": [2, 3], "a": 1}), "a26161016162820203"),
            // Keys are sorted by their encoded bytes: the shorter first.
            (json!({"aa": 1, "b": 2}), "a261620262616101"),
        ] {
            assert_eq!(hex(&value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_that_differ_are_encoded_differently() {
        let numbers = [
            json!(9_007_199_254_740_992u64),
            json!(9_007_199_254_740_993u64),
            json!(9_007_199_254_740_992.0),
            json!(1),
            json!(1.0),
            json!("1"),
            json!(true),
        ];
        let encoded: std::collections::BTreeSet<String> = numbers.iter().map(hex).collect();
        assert_eq!(encoded.len(), numbers.len());
    }

    #[test]
    fn every_half_is_found_and_nothing_else_is_taken_for_one() {
        for bits in 0..=u16::MAX {
            let exponent = i32::from(bits >> 10 & 0x1f);
            let fraction = f64::from(bits & 0x3ff);
            let size = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 => continue,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let value = if bits & 0x8000 == 0 { size } else { -size };
            assert_eq!(half(value as f32), Some(bits));
            let next = f32::from_bits((value as f32).to_bits() + 1);
            assert_eq!(half(next), None, "{next}");
        }
    }
}
