//! Resource requirements: `-R "select[...] rusage[...] span[...]"`.

use crate::fake::Dialect;

/// Names of resources that a selection may use.
const RESOURCES: &[&str] = &[
    "r15s", "r1m", "r15m", "ut", "pg", "io", "ls", "it", "tmp", "swp", "mem", "ncpus", "ndisks",
    "maxmem", "maxswp", "maxtmp", "cpuf", "type", "model", "hname", "server", "status", "rexpri",
];

/// Further ones of IBM LSF.
const IBM_RESOURCES: &[&str] = &[
    "ngpus",
    "ngpus_physical",
    "ngpus_shared",
    "ngpus_excl_p",
    "ngpus_excl_t",
    "nprocs",
    "ncores",
    "nthreads",
    "maxmem",
    "slots",
    "define_ncpus_cores",
    "gpu_model0",
    "gpu_shared_avg_ut",
    "osname",
];

/// Sections of a requirement.
const SECTIONS: &[&str] = &["select", "order", "rusage", "filter", "span", "same"];

/// Further ones of IBM LSF.
const IBM_SECTIONS: &[&str] = &["cu", "affinity", "stripe"];

/// What of a requirement matters to the fake.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Requirement {
    /// Memory in bytes that is reserved.
    pub(super) memory: Option<u64>,
    /// Whether all slots must be on one host.
    pub(super) one_host: bool,
}

/// A requirement that cannot be read: "`-R "bogus["`, `-R "nosuchres>1"`, `-R "rusage[mem=100GB]"` |
/// `Bad resource requirement syntax. Job not submitted.`" (the last on openlava).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadSyntax;

impl Requirement {
    /// Reads a requirement. `unit` is what `LSF_UNIT_FOR_LIMITS` says.
    pub(super) fn read(
        text: &str,
        dialect: Dialect,
        unit: Option<&str>,
    ) -> Result<Self, BadSyntax> {
        let mut requirement = Self::default();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(BadSyntax);
        }
        let mut is_first = true;
        while !rest.is_empty() {
            let open = rest.find('[');
            let name = rest[..open.unwrap_or(0)].trim();
            let known =
                SECTIONS.contains(&name) || dialect == Dialect::Lsf && IBM_SECTIONS.contains(&name);
            let (section, content) = if known {
                let begin = open.expect("a section has a name before a bracket") + 1;
                let end = rest[begin..].find(']').ok_or(BadSyntax)? + begin;
                let content = &rest[begin..end];
                rest = rest[end + 1..].trim_start();
                (name, content)
            } else if is_first {
                // A selection may stand first without its name.
                let end = SECTIONS
                    .iter()
                    .filter_map(|section| rest.find(&format!(" {section}[")))
                    .min()
                    .unwrap_or(rest.len());
                let content = &rest[..end];
                rest = rest[end..].trim_start();
                ("select", content)
            } else {
                return Err(BadSyntax);
            };
            is_first = false;
            requirement.section(section, content, dialect, unit)?;
        }
        Ok(requirement)
    }

    fn section(
        &mut self,
        section: &str,
        content: &str,
        dialect: Dialect,
        unit: Option<&str>,
    ) -> Result<(), BadSyntax> {
        match section {
            "select" => is_selection(content, dialect)
                .then_some(())
                .ok_or(BadSyntax),
            "span" => {
                let (name, value) = content.split_once('=').ok_or(BadSyntax)?;
                match (name.trim(), value.trim().parse::<i32>()) {
                    ("hosts", Ok(1)) => self.one_host = true,
                    ("hosts", Ok(-1)) => {}
                    ("ptile", Ok(slots)) if slots > 0 => {}
                    _ => return Err(BadSyntax),
                }
                Ok(())
            }
            "rusage" => {
                for term in content.split(',').flat_map(|term| term.split("||")) {
                    self.usage(term.trim(), dialect, unit)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads a term such as `mem=100` or `mem=100:duration=10`.
    fn usage(&mut self, term: &str, dialect: Dialect, unit: Option<&str>) -> Result<(), BadSyntax> {
        let term = term.split(':').next().unwrap_or_default();
        let (name, value) = term.split_once('=').ok_or(BadSyntax)?;
        let name = name.trim();
        if !is_resource(name, dialect) {
            return Err(BadSyntax);
        }
        let mut value = value.trim();
        if dialect == Dialect::Lsf {
            // IBM: `/job`, `/host` and `/task` after the amount say what it is for.
            value = value.split('/').next().unwrap_or_default();
        }
        if name == "mem" {
            let bytes = if dialect == Dialect::Lsf {
                read_amount(value, unit.unwrap_or("MB"))
            } else {
                // "`rusage[mem=100]`: bare number is MB in openlava"; no unit is understood.
                value
                    .parse::<f64>()
                    .ok()
                    .map(|amount| (amount * 1_048_576.0) as u64)
            };
            self.memory = Some(bytes.ok_or(BadSyntax)?);
        } else {
            value.parse::<f64>().map_err(|_| BadSyntax)?;
        }
        Ok(())
    }
}

fn is_resource(name: &str, dialect: Dialect) -> bool {
    RESOURCES.contains(&name) || dialect == Dialect::Lsf && IBM_RESOURCES.contains(&name)
}

/// Whether brackets are in balance and each comparison is about a known resource.
fn is_selection(text: &str, dialect: Dialect) -> bool {
    let depth = text
        .chars()
        .try_fold(0_u32, |depth, character| match character {
            '(' => Some(depth + 1),
            ')' => depth.checked_sub(1),
            '[' | ']' => None,
            _ => Some(depth),
        });
    depth == Some(0)
        && text
            .split(['&', '|', '(', ')', '!'])
            .map(str::trim)
            .filter(|part| !part.is_empty() && !part.starts_with('='))
            .all(|part| {
                let name = part.split(['<', '>', '=', ' ']).next().unwrap_or_default();
                is_resource(name, dialect)
            })
}

/// Reads an amount with a unit as IBM LSF has them: "suffixes KB/K MB/M GB/G.. allowed". A bare number is
/// in `unit`.
pub(super) fn read_amount(text: &str, unit: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let suffix = if suffix.is_empty() { unit } else { suffix };
    let power = match suffix.trim().to_ascii_uppercase().as_str() {
        "K" | "KB" => 1,
        "M" | "MB" => 2,
        "G" | "GB" => 3,
        "T" | "TB" => 4,
        _ => return None,
    };
    Some((number * 1024_f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn requirements_are_read_as_observed() {
        for dialect in [Dialect::OpenLava, Dialect::Lsf] {
            let read = |text| Requirement::read(text, dialect, None);
            let both = read("span[hosts=1] rusage[mem=100]").unwrap();
            assert_eq!((both.memory, both.one_host), (Some(100 * MB), true));
            assert!(read("select[mem>10 && type==any] order[r1m] span[ptile=2]").is_ok());
            assert!(read("mem>10 rusage[mem=5:duration=1]").is_ok());
            for bad in [
                "bogus[",
                "nosuchres>1",
                "rusage[nosuch=1]",
                "rusage[mem=x]",
                "span[hosts=2]",
                "",
            ] {
                assert_eq!(read(bad), Err(BadSyntax), "{bad}");
            }
        }
    }

    #[test]
    fn only_ibm_understands_units() {
        let read = |dialect, unit| Requirement::read("rusage[mem=100GB]", dialect, unit);
        assert_eq!(read(Dialect::OpenLava, None), Err(BadSyntax));
        let memory = read(Dialect::Lsf, None).unwrap().memory;
        assert_eq!(memory, Some(100 * 1024 * MB));
        let bare = Requirement::read("rusage[mem=2]", Dialect::Lsf, Some("GB"));
        assert_eq!(bare.unwrap().memory, Some(2048 * MB));
    }

    #[test]
    fn amounts_have_the_units_of_ibm() {
        assert_eq!(read_amount("50000", "KB"), Some(50_000 << 10));
        assert_eq!(read_amount("1GB", "KB"), Some(1 << 30));
        assert_eq!(read_amount("1.5g", "KB"), Some(3 << 29));
        assert_eq!(read_amount("1x", "KB"), None);
        assert_eq!(read_amount("", "KB"), None);
    }
}
