//! What killed agents leave, made by hand.

use std::process::{Child, Command};

use bakehouse_protocol::BuildId;

use super::*;
use crate::cgroup;

/// A job's directory as one leaves it that was killed; its lock went with the process.
fn killed(run_dir: &Path, number: u32) -> PathBuf {
    RunDir::make(run_dir, &BuildId::from_parts(1, number)).unwrap().path.clone()
}

#[test]
fn what_is_listed_is_what_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let (first, second) = (killed(&run, 1), killed(&run, 2));
    // One who was killed even before he had the lock.
    let early = run.join("early");
    fs::create_dir(&early).unwrap();
    let living = RunDir::make(&run, &BuildId::from_parts(1, 3)).unwrap();

    let expected = [first.clone(), second.clone(), early.clone()].map(Leftover::JobDirectory);
    assert_eq!(leftovers(&run).unwrap(), expected);
    assert!(first.exists() && second.exists());
    assert!(fs::read_dir(&early).unwrap().next().is_none(), "only looked at");
    assert_eq!(recover(&run).unwrap(), expected);
    assert!(!first.exists() && !early.exists() && living.path.exists());
    assert_eq!((leftovers(&run).unwrap(), recover(&run).unwrap()), (vec![], vec![]));
    assert_eq!(leftovers(&dir.path().join("no such")).unwrap(), []);
}

#[test]
fn somebody_who_looks_does_not_make_a_job_fail() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let path = killed(&run, 1);
    let look = RunDir::look(&path).unwrap().unwrap();
    let looking = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(look);
    });
    let job = RunDir::make(&run, &BuildId::from_parts(1, 1)).unwrap();
    looking.join().unwrap();
    assert_eq!(leftovers(&run).unwrap(), []);
    drop(job);
    assert_eq!(leftovers(&run).unwrap(), [Leftover::JobDirectory(path)]);
}

struct Sleeper(Child, Cgroup);
impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = self.1.remove();
    }
}

#[test]
fn root_a_process_in_the_cgroup_is_listed_and_then_killed() {
    let root = cgroup::root().filter(|_| nix::unistd::geteuid().is_root());
    let Some(root) = root else {
        println!("SKIP root_a_process_in_the_cgroup_is_listed_and_then_killed: not root, or no cgroup v2");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let build = BuildId::from_parts(2, std::process::id());
    let group = Cgroup::make(&root, &format!("bakehouse-test-{build}"), &build).unwrap();
    let job = RunDir::make(dir.path(), &build).unwrap();
    job.remember_cgroup(group.path()).unwrap();
    drop(job);
    let entered = group.path().join("inside");
    fs::create_dir(&entered).unwrap();
    let mut sleeper = Sleeper(Command::new("sleep").arg("1000").spawn().unwrap(), group);
    let pid = i32::try_from(sleeper.0.id()).unwrap();
    fs::write(entered.join("cgroup.procs"), pid.to_string()).unwrap();

    let listed = leftovers(dir.path()).unwrap();
    assert_eq!(
        listed[..2],
        [Leftover::Process { pid, name: "sleep".to_owned() }, Leftover::Cgroup(sleeper.1.path().to_owned()),]
    );
    assert!(sleeper.0.try_wait().unwrap().is_none(), "only listed");
    assert_eq!(recover(dir.path()).unwrap(), listed);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(sleeper.0.wait().unwrap().signal(), Some(9));
    assert!(!sleeper.1.path().exists());
}
