//! Calls of the program that may be stopped.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);
/// Between two looks at whether it has ended.
pub const LOOK: Duration = Duration::from_micros(100);

/// A call that may be running.
#[derive(Debug)]
pub struct Process {
    child: Child,
    out: File,
    error: File,
    begun: Instant,
}

/// What a call ended with.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub error: String,
    pub took: Duration,
}

impl Process {
    /// Starts `hps` in a folder; its arithmetic is the same with any number of threads.
    pub fn start(arguments: &[String], folder: &Path, threads: usize) -> Process {
        let [out, error] = [(), ()].map(|()| tempfile::tempfile().expect("a file"));
        let [to_out, to_error] = [&out, &error].map(|file| Stdio::from(file.try_clone().expect("a file")));
        let child = Command::new(env!("CARGO_BIN_EXE_hps"))
            .args(arguments)
            .current_dir(folder)
            .env_remove("CLICOLOR_FORCE")
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::null())
            .stdout(to_out)
            .stderr(to_error)
            .spawn()
            .expect("the program starts");
        Process { child, out, error, begun: Instant::now() }
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sends `INT`, `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success(), "kill -{name}: it has not been waited for, so it is there");
    }

    /// `kill -9`, or nothing where it has ended.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("a kill, or it has ended");
        self.wait().expect("it is gone")
    }

    /// Its end, or that it does not come to one; then it is killed.
    pub fn wait(mut self) -> Result<Ended, String> {
        while self.running() {
            if self.age() > LIMIT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(format!("does not end within {} s", LIMIT.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
        let took = self.age();
        let text = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("what it said");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let status = self.child.wait().expect("its end");
        Ended { status, out: text(&mut self.out), error: text(&mut self.error), took }.sound()
    }
}

impl Ended {
    pub fn done(&self) -> bool {
        self.status.success()
    }

    pub fn killed_by(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Nothing but an end of its own or a signal of ours.
    fn sound(self) -> Result<Ended, String> {
        let ours = [1, 2, 9, 15];
        match (self.status.code(), self.status.signal()) {
            (Some(101), _) => Err(format!("panics: {}", self.error)),
            (_, Some(signal)) if !ours.contains(&signal) => Err(format!("dies of signal {signal}: {}", self.error)),
            _ if self.error.contains("panicked at") => Err(format!("panics: {}", self.error)),
            _ => Ok(self),
        }
    }

    /// What a refusal says: one line after `error: `, with exit code 1.
    pub fn refusal(&self) -> Result<&str, String> {
        let said = self.error.lines().filter(|line| line.starts_with("error: ")).count();
        let last = self.error.lines().last().and_then(|line| line.strip_prefix("error: "));
        match (self.status.code(), said, last) {
            (Some(1), 1, Some(message)) => Ok(message),
            _ => Err(format!("is no clean refusal: {}: {}", self.status, self.error)),
        }
    }
}
