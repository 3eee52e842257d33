use reflow_core::scheduler::Memory;

use super::*;

fn limits(
    name: &str,
    is_default: bool,
    minutes: Option<u64>,
    mem: Option<Memory>,
) -> PartitionLimits {
    PartitionLimits {
        name: name.into(),
        is_default,
        time: minutes.map(|minutes| Walltime::from_seconds(minutes * 60)),
        mem,
    }
}

/// In the form of openlava's `bqueues.c`, with the queues of the installation that was observed.
#[test]
fn queues_tell_their_limits_and_which_is_the_default() {
    let text = "
QUEUE: normal
  -- For normal low priority jobs.  This is the default queue.

PARAMETERS/STATISTICS
PRIO NICE STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN SSUSP USUSP  RSV
 30   20  Open:Active       -    -    -    -     0     0     0     0     0    0

SCHEDULING PARAMETERS
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
 loadSched   -     -     -     -       -     -    -     -     -      -      -

USERS:  all users
HOSTS:  all hosts used by the LSF Batch system

-------------------------------------------------------------------------------

QUEUE: short
  -- Short jobs

PARAMETERS/STATISTICS
PRIO NICE STATUS          MAX JL/U JL/P JL/H NJOBS  PEND   RUN SSUSP USUSP  RSV
 35   20  Open:Active       -    -    -    -     0     0     0     0     0    0

 RUNLIMIT                 PROCLIMIT               \n 2.0 min of vm           4

SCHEDULING PARAMETERS
";
    assert_eq!(
        parse(text),
        [
            limits("normal", true, None, None),
            limits("short", false, Some(2), None),
        ]
    );
}

#[test]
fn limits_that_are_only_defaults_are_none() {
    let text = "
QUEUE: long
  -- No description provided.

DEFAULT LIMITS:
 RUNLIMIT
 60.0 min of hostA
 MEMLIMIT
      1 G

MAXIMUM LIMITS:
 CPULIMIT                 RUNLIMIT
 600.0 min of hostA       1440.0 min of hostA
 FILELIMIT DATALIMIT MEMLIMIT
     512 K     1 G     16 G

";
    let mem = Some(Memory::from_mebibytes(16 << 10));
    assert_eq!(parse(text), [limits("long", false, Some(1440), mem)]);
}

#[test]
fn the_default_is_taken_from_the_parameters_where_the_queues_do_not_say() {
    let queues = || {
        vec![
            limits("a", false, None, None),
            limits("b", false, None, None),
        ]
    };
    let named = with_default(queues(), &["b".to_owned()]);
    assert_eq!(named[1], limits("b", true, None, None));
    let mut told = queues();
    told[0].is_default = true;
    assert_eq!(with_default(told.clone(), &["b".to_owned()]), told);
    assert!(parse("hello\n").is_empty());
}
