//! Elements on the wire: runs of equal ones, and small differences between their times.

use crate::element::{Element, End, Phase, letter, reason};

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_difference(out: &mut Vec<u8>, last: &mut u64, value: u64) {
    let difference = value.wrapping_sub(*last) as i64;
    *last = value;
    put(out, ((difference << 1) ^ (difference >> 63)) as u64);
}

/// What elements of one run have in common.
fn kind(element: &Element) -> [u8; 4] {
    match element.phase {
        Phase::Pending => [b'P', 0, 0, 0],
        Phase::Running => [b'R', 0, 0, 0],
        Phase::Ended => {
            let end = &element.end;
            // A code is below 256 and a signal below 128, so that one byte says which it is.
            let (what, value) = match (end.code, end.signal) {
                (Some(code), _) => (1, code),
                (None, Some(signal)) => (2, signal),
                (None, None) => (0, 0),
            };
            [b'E', letter(end.reason), what, value]
        }
    }
}

/// Writes the elements to `out`.
pub(crate) fn encode(elements: &[Element], out: &mut Vec<u8>) {
    put(out, elements.len() as u64);
    let (mut started, mut elapsed, mut peak, mut pause) = (0, 0, 0, 0);
    for run in elements.chunk_by(|a, b| kind(a) == kind(b)) {
        put(out, run.len() as u64);
        let kind = kind(&run[0]);
        out.extend_from_slice(&kind);
        for element in run {
            if kind[0] != b'P' {
                put_difference(out, &mut started, element.started);
            }
            if kind[0] == b'E' {
                let end = &element.end;
                put_difference(out, &mut elapsed, end.elapsed);
                put_difference(out, &mut peak, end.peak);
                // The wall clock may disagree with the monotonic one.
                let expected = element.started.wrapping_add(end.elapsed);
                put_difference(out, &mut pause, end.at.wrapping_sub(expected));
            }
        }
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn difference(&mut self, last: &mut u64) -> Option<u64> {
        let coded = self.number()?;
        let difference = (coded >> 1) as i64 ^ -((coded & 1) as i64);
        *last = last.wrapping_add(difference as u64);
        Some(*last)
    }
}

/// Reads elements from the front of `bytes` and moves it behind them; none where it is not of this form.
pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Vec<Element>> {
    let mut reader = Reader(bytes);
    let total = usize::try_from(reader.number()?).ok()?;
    let mut elements = Vec::new();
    let (mut started, mut elapsed, mut peak, mut pause) = (0, 0, 0, 0);
    while elements.len() < total {
        let run = usize::try_from(reader.number()?).ok()?;
        let kind = [
            reader.byte()?,
            reader.byte()?,
            reader.byte()?,
            reader.byte()?,
        ];
        if run == 0 || run > total - elements.len() || total > crate::ARRAY_LIMIT as usize {
            return None;
        }
        for _ in 0..run {
            let mut element = Element::default();
            if kind[0] != b'P' {
                element.started = reader.difference(&mut started)?;
                element.phase = Phase::Running;
            }
            if kind[0] == b'E' {
                element.phase = Phase::Ended;
                let elapsed = reader.difference(&mut elapsed)?;
                let peak = reader.difference(&mut peak)?;
                let pause = reader.difference(&mut pause)?;
                element.end = End {
                    reason: reason(kind[1])?,
                    code: (kind[2] == 1).then_some(kind[3]),
                    signal: (kind[2] == 2).then_some(kind[3]),
                    at: element.started.wrapping_add(elapsed).wrapping_add(pause),
                    elapsed,
                    peak,
                };
            }
            elements.push(element);
        }
    }
    *bytes = reader.0;
    Some(elements)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reflow_core::scheduler::EndReason;

    use super::*;

    fn element() -> impl Strategy<Value = Element> {
        let end = (any::<bool>(), any::<u8>(), any::<u64>(), any::<u64>()).prop_map(
            |(failed, code, at, elapsed)| Element {
                phase: Phase::Ended,
                started: at ^ 5,
                end: End {
                    code: (!failed).then_some(code),
                    signal: (failed && code < 100).then_some(code),
                    at,
                    elapsed,
                    peak: at >> 3,
                    ..End::without_status(
                        if failed {
                            EndReason::Walltime
                        } else {
                            EndReason::Failed
                        },
                        0,
                    )
                },
            },
        );
        let running = any::<u64>().prop_map(|started| Element {
            phase: Phase::Running,
            started,
            ..Element::default()
        });
        prop_oneof![Just(Element::default()), running, end]
    }

    proptest! {
        #[test]
        fn elements_come_back_as_they_were(elements in prop::collection::vec(element(), 0..50)) {
            let mut bytes = Vec::new();
            encode(&elements, &mut bytes);
            bytes.push(7);
            let mut rest = &bytes[..];
            prop_assert_eq!(decode(&mut rest), Some(elements));
            prop_assert_eq!(rest, &[7u8][..]);
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&mut &bytes[..]);
        }
    }

    #[test]
    fn a_hundred_thousand_elements_take_a_few_bytes_each() {
        let elements: Vec<Element> = (0..100_000)
            .map(|index| Element {
                phase: Phase::Ended,
                started: 1_700_000_000_000 + index / 10,
                end: End {
                    code: Some(0),
                    at: 1_700_000_000_003 + index / 10,
                    elapsed: 3,
                    ..End::without_status(EndReason::Completed, 0)
                },
            })
            .collect();
        let mut bytes = Vec::new();
        encode(&elements, &mut bytes);
        assert!(bytes.len() < 500_000, "{} bytes", bytes.len());
    }
}
