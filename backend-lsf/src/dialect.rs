use serde::Deserialize;

/// The dialect that a site names in `dialect = "..."`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// IBM's.
    Lsf,
    /// The older one.
    OpenLava,
}

/// What the programs understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// IBM Spectrum LSF and Platform LSF from 9.1 on, with the version where it is known.
    Ibm(Option<Version>),
    /// openlava, and Platform LSF before 9.1.
    OpenLava,
}

/// `10.1.0.12`: the last number is the fix pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 4]);

/// The first Platform LSF with `bjobs -o`.
const FIRST_WITH_FORMAT: Version = Version([9, 1, 0, 0]);

impl Dialect {
    /// Reads what `bsub -V` or `lsid` says, such as `IBM Spectrum LSF Standard 10.1.0.11, Jul 16 2021` or
    /// `openlava project 2.2, ...`. None when neither is named.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if lower.contains("openlava") {
            return Some(Self::OpenLava);
        }
        let line = lower
            .lines()
            .find(|line| line.contains("spectrum lsf") || line.contains("platform lsf"))?;
        Some(match version(line) {
            Some(version) if version < FIRST_WITH_FORMAT => Self::OpenLava,
            version => Self::Ibm(version),
        })
    }

    /// Whether this is IBM's.
    pub(crate) fn is_ibm(self) -> bool {
        matches!(self, Self::Ibm(_))
    }

    /// Whether this is IBM's, of this version or a later one; an unknown version is taken to be a late one.
    fn since(self, first: [u32; 4]) -> bool {
        match self {
            Self::Ibm(version) => version.is_none_or(|version| version >= Version(first)),
            Self::OpenLava => false,
        }
    }

    /// Whether `-ti` has LSF end a job at once when its dependencies can no longer hold, whatever the cluster
    /// does with the others (IBM's documentation of orphan job termination, from 9.1.2 on).
    pub(crate) fn ends_orphans(self) -> bool {
        self.since([9, 1, 2, 0])
    }

    /// Whether memory can be written with a unit: `-M 500MB`, `rusage[mem=500MB]`. From fix pack 2 on.
    ///
    /// An unknown version is taken to understand it: one that does not refuses the job, while a bare number in
    /// a unit that was guessed would be taken without a word.
    pub(crate) fn has_units(self) -> bool {
        self.since([10, 1, 0, 2])
    }

    /// Whether a reservation can say itself that it is for each host: `rusage[mem=500MB/host]`. From fix
    /// pack 9 on (IBM's release notes of 10.1.0.9).
    pub(crate) fn has_methods(self) -> bool {
        match self {
            Self::Ibm(Some(version)) => version >= Version([10, 1, 0, 9]),
            _ => false,
        }
    }

    /// Whether there is `-gpu`, with the model among its words. From fix pack 6 on (IBM's release notes of
    /// 10.1.0.6).
    pub(crate) fn has_gpus(self) -> bool {
        self.since([10, 1, 0, 6])
    }
}

/// The first word of `line` that is a version.
fn version(line: &str) -> Option<Version> {
    line.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .find_map(|word| {
            let mut numbers = [0; 4];
            for (number, part) in numbers.iter_mut().zip(word.split('.')) {
                *number = part.parse().ok()?;
            }
            Some(Version(numbers))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_line_tells_the_dialect() {
        for (text, dialect) in [
            (
                "IBM Spectrum LSF Standard 10.1.0.11, Jul 16 2021\nCopyright International Business Machines Corp. 1992, 2016.\n",
                Some(Dialect::Ibm(Some(Version([10, 1, 0, 11])))),
            ),
            (
                "Platform LSF 9.1.3.0, Jul 04 2014\n",
                Some(Dialect::Ibm(Some(Version([9, 1, 3, 0])))),
            ),
            (
                "Platform LSF 7.0.6.134609, Aug 1 2009\n",
                Some(Dialect::OpenLava),
            ),
            (
                "openlava project 2.2, Jan 1 2015\n",
                Some(Dialect::OpenLava),
            ),
            ("IBM Spectrum LSF\n", Some(Dialect::Ibm(None))),
            ("Welcome to the cluster\n", None),
        ] {
            assert_eq!(Dialect::parse(text), dialect, "{text}");
        }
    }

    #[test]
    fn what_came_with_fix_packs_is_used_from_there_on() {
        let ibm = |pack| Dialect::Ibm(Some(Version([10, 1, 0, pack])));
        assert!(ibm(0).ends_orphans());
        assert!(!Dialect::Ibm(Some(Version([9, 1, 1, 0]))).ends_orphans());
        assert!(!ibm(1).has_units() && ibm(2).has_units());
        assert!(!ibm(8).has_methods() && ibm(9).has_methods());
        assert!(!ibm(5).has_gpus() && ibm(6).has_gpus());
        let unknown = Dialect::Ibm(None);
        assert!(unknown.has_units() && unknown.has_gpus() && !unknown.has_methods());
        assert!(!Dialect::OpenLava.has_units() && !Dialect::OpenLava.has_gpus());
    }
}
