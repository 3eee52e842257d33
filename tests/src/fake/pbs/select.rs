//! `select` statements: `N:name=value:...+N:...`.

use crate::fake::{FakeOptions, Refusal};

use super::size::size;

/// Chunks of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// How many of them.
    pub(super) count: u32,
    /// The cpus of each.
    pub(super) cpus: u32,
    /// The memory of each in bytes, where asked for.
    pub(super) memory: Option<u64>,
    /// The gpus of each.
    pub(super) gpus: u32,
    /// `mpiprocs`: how many lines in `PBS_NODEFILE`.
    pub(super) processes: u32,
    /// `ompthreads`.
    pub(super) threads: Option<u32>,
}

/// Reads a statement.
pub(super) fn parse(text: &str, options: &FakeOptions) -> Result<Vec<Chunk>, Refusal> {
    text.split('+').map(|part| chunk(part, options)).collect()
}

fn chunk(text: &str, options: &FakeOptions) -> Result<Chunk, Refusal> {
    let mut chunk = Chunk {
        count: 1,
        cpus: 1,
        memory: None,
        gpus: 0,
        processes: 1,
        threads: None,
    };
    for (place, part) in text.split(':').enumerate() {
        let Some((name, value)) = part.split_once('=') else {
            if place == 0
                && let Ok(count) = part.parse()
                && count > 0
            {
                chunk.count = count;
                continue;
            }
            return Err(illegal("select"));
        };
        let number = || value.parse::<u32>().map_err(|_| illegal_in_select(name));
        match name {
            "ncpus" => chunk.cpus = number()?,
            "mpiprocs" => chunk.processes = number()?,
            "ompthreads" => chunk.threads = Some(number()?),
            "ngpus" if options.gpus.is_some() => chunk.gpus = number()?,
            "mem" => {
                let (bytes, _) = size(value).ok_or_else(|| illegal_in_select(name))?;
                chunk.memory = Some(bytes);
            }
            "vmem" | "hbmem" => {
                size(value).ok_or_else(|| illegal_in_select(name))?;
            }
            "host" | "vnode" | "arch" | "software" | "naccelerators" | "accelerator"
            | "accelerator_model" => {}
            // "`-l select=1:nosuchres=1`: `qsub: Unknown resource: nosuchres`", exit 187.
            _ => {
                return Err(Refusal {
                    text: format!("Unknown resource: {name}"),
                    code: 187,
                });
            }
        }
    }
    Ok(chunk)
}

/// "`-l select=1:ncpus=x`: `qsub: Illegal attribute or resource value select.ncpus`", exit 166.
fn illegal_in_select(name: &str) -> Refusal {
    illegal(&format!("select.{name}"))
}

/// Returns the refusal of a value.
pub(super) fn illegal(what: &str) -> Refusal {
    Refusal {
        text: format!("Illegal attribute or resource value {what}"),
        code: 166,
    }
}

/// Reads the old form `nodes=N:ppn=M`, with the memory beside it: "`-l nodes=1:ppn=2,mem=100mb` (becomes
/// `1:ncpus=2:mem=102400KB:mpiprocs=2`, place=scatter)".
pub(super) fn of_nodes(nodes: &str, memory: Option<u64>) -> Result<String, Refusal> {
    let wrong = || illegal("Resource_List.nodes");
    let parts: Vec<String> = nodes
        .split('+')
        .map(|part| {
            let mut words = part.split(':');
            let first = words.next().unwrap_or_default();
            let (count, host) = match first.parse::<u32>() {
                Ok(count) if count > 0 => (count, None),
                Err(_) if !first.is_empty() => (1, Some(first)),
                _ => return Err(wrong()),
            };
            let mut processes = 1;
            for word in words {
                if let Some(number) = word.strip_prefix("ppn=") {
                    processes = number.parse().map_err(|_| wrong())?;
                } else if !word.starts_with("gpus=") {
                    return Err(wrong());
                }
            }
            let host = host.map_or_else(String::new, |host| format!(":host={host}"));
            let memory = memory.map_or_else(String::new, |bytes| {
                format!(":mem={}KB", bytes.div_ceil(1024))
            });
            Ok(format!(
                "{count}{host}:ncpus={processes}{memory}:mpiprocs={processes}"
            ))
        })
        .collect::<Result<_, _>>()?;
    Ok(parts.join("+"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Dialect;

    #[test]
    fn chunks_are_read() {
        let options = FakeOptions::of(Dialect::OpenPbs);
        let chunks = parse(
            "2:ncpus=4:mpiprocs=2:ompthreads=3:mem=1kb+ncpus=1",
            &options,
        )
        .unwrap();
        assert_eq!(chunks[0].count, 2);
        assert_eq!(chunks[0].cpus, 4);
        assert_eq!(chunks[0].processes, 2);
        assert_eq!(chunks[0].threads, Some(3));
        assert_eq!(chunks[0].memory, Some(1024));
        assert_eq!(chunks[1].count, 1);
    }

    #[test]
    fn nodes_become_chunks_as_observed() {
        let select = of_nodes("1:ppn=2", Some(100 << 20)).unwrap();
        assert_eq!(select, "1:ncpus=2:mem=102400KB:mpiprocs=2");
    }
}
