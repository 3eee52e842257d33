//! A program that serves indices, as the worker of reflow does, with some that behave badly.

use std::io::{BufRead, Write};
use std::process::ExitCode;

/// Serves until standard input ends; `mode` says how.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    assert_eq!(arguments.last().map(String::as_str), Some("--serve"));
    let mode = arguments[0].as_str();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let index: u32 = line.parse().expect("an index a line");
        match mode {
            "append" => {
                say(&format!("{index} {}\n", std::process::id()));
            }
            "slow" => {
                say(&format!("start s{index}\n"));
                std::thread::sleep(std::time::Duration::from_millis(40));
                say(&format!("end s{index}\n"));
            }
            "fat" => {
                let megabytes = if index == 1 { 300 } else { 1 };
                let line = format!(
                    "(head -c {megabytes}000000 /dev/zero; sleep 0.7) | tail -n 1 > /dev/null"
                );
                let body = std::process::Command::new("/bin/sh")
                    .args(["-c", &line])
                    .status();
                assert!(body.unwrap().success());
            }
            "sleep" => std::thread::sleep(std::time::Duration::from_secs(if index == 0 {
                1000
            } else {
                0
            })),
            "die" if index == 1 => std::process::abort(),
            "garbage" if index == 1 => println!("hello"),
            _ => {}
        }
        println!("{index} {}", if mode == "fail" { index % 2 } else { 0 });
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.create(true).append(true).open("ran").unwrap();
    file.write_all(line.as_bytes()).unwrap();
}
