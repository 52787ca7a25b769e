//! Leftovers of killed agents, created by the tests themselves.

use std::process::{Child, Command};

use bakehouse_protocol::BuildId;

use super::*;
use crate::cgroup;

/// Creates a job directory as a killed agent leaves it: its lock was released with the process.
fn killed(run_dir: &Path, number: u32) -> PathBuf {
    JobDir::create(run_dir, &BuildId::from_parts(1, number)).unwrap().path.clone()
}

#[test]
fn leftovers_are_what_recover_removes() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let (first, second) = (killed(&run, 1), killed(&run, 2));
    // Of an agent that was killed before it had the lock.
    let unlocked = run.join("unlocked");
    fs::create_dir(&unlocked).unwrap();
    let running = JobDir::create(&run, &BuildId::from_parts(1, 3)).unwrap();

    let expected = [first.clone(), second.clone(), unlocked.clone()].map(Leftover::JobDirectory);
    assert_eq!(leftovers(&run).unwrap(), expected);
    assert!(first.exists() && second.exists());
    assert!(fs::read_dir(&unlocked).unwrap().next().is_none(), "listing creates no lock");
    assert_eq!(recover(&run).unwrap(), expected);
    assert!(!first.exists() && !unlocked.exists() && running.path.exists());
    assert_eq!((leftovers(&run).unwrap(), recover(&run).unwrap()), (vec![], vec![]));
    assert_eq!(leftovers(&dir.path().join("no such")).unwrap(), []);
}

#[test]
fn listing_leftovers_does_not_make_a_new_job_fail() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let path = killed(&run, 1);
    let inspected = JobDir::inspect(&path).unwrap().unwrap();
    let lister = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(inspected);
    });
    let job = JobDir::create(&run, &BuildId::from_parts(1, 1)).unwrap();
    lister.join().unwrap();
    assert_eq!(leftovers(&run).unwrap(), []);
    drop(job);
    assert_eq!(leftovers(&run).unwrap(), [Leftover::JobDirectory(path)]);
}

/// A process in a cgroup; both are removed even when the test fails.
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
    let root = cgroup::mount_point().filter(|_| nix::unistd::geteuid().is_root());
    let Some(root) = root else {
        println!("SKIP root_a_process_in_the_cgroup_is_listed_and_then_killed: not root, or no cgroup v2");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let build = BuildId::from_parts(2, std::process::id());
    let group = Cgroup::create(Cgroup::path_of(&root, &format!("bakehouse-test-{build}"), &build)).unwrap();
    let job = JobDir::create(dir.path(), &build).unwrap();
    job.record_cgroup(group.path()).unwrap();
    drop(job);
    let nested = group.path().join("nested");
    fs::create_dir(&nested).unwrap();
    let mut sleeper = Sleeper(Command::new("sleep").arg("1000").spawn().unwrap(), group);
    let pid = i32::try_from(sleeper.0.id()).unwrap();
    fs::write(nested.join("cgroup.procs"), pid.to_string()).unwrap();

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
