//! A disk that fills up: signals wait for room, everything else goes on, and nobody has to restart anything.

use crate::harness::{MINUTE, OWN, Rule, Session, Stage, save, until};
use crate::signals::{SYMBOLS, finish};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A file system of a few megabytes, for a tablespace.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount anything.
    fn mount() -> Option<SmallDisk> {
        let path = std::env::temp_dir().join(format!("vyx-e2e-{}-disk", std::process::id()));
        fs::create_dir_all(&path).expect("a directory can be made");
        let disk = SmallDisk(path);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "vyx-e2e"]).arg(&disk.0);
        mount.status().is_ok_and(|status| status.success()).then_some(disk)
    }

    fn belongs_to_owner_of(&self, data: &Path) {
        let owner = fs::metadata(data).expect("it is there");
        chown(&self.0, Some(owner.uid()), Some(owner.gid())).expect("who mounts may do that");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let full = fs::write(self.ballast(), vec![0_u8; 8 << 20]).expect_err("it is smaller");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_disk_holds_up_signals_alone_and_each_comes_once_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a small file system cannot be mounted here, which takes root's rights");
        return;
    };
    let settings = [("vyx.intervals", "1m,5m"), ("vyx.evaluate_worker", "off")];
    let stage = Stage::start("full-disk", &SYMBOLS, Stage::speed(60.0), &settings);
    disk.belongs_to_owner_of(stage.cluster.data());
    let session = stage.cluster.session();
    stage.settle(&session);
    let rules: Vec<&Rule> = OWN.iter().chain(&crate::harness::MIXED).collect();
    save(&session, &rules);
    session.run(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display()));
    session.run("ALTER TABLE vyx.signals SET TABLESPACE small");
    stage.start_worker(&session);
    let signals = |session: &Session| -> i64 { session.one("SELECT count(*) FROM vyx.signals", &[]) };
    until("signals", || (signals(&session) > 5).then_some(()));
    let worker: i32 = session.one("SELECT evaluate_pid FROM vyx_health()", &[]);

    disk.fill();
    until("the health says what is wrong", || {
        let words = "SELECT status = 'degraded' AND reason LIKE 'vyx evaluate: failed: could not extend file%No space left on device'
                     FROM vyx_health()";
        session.one::<bool>(words, &[]).then_some(())
    });
    let through = || session.one::<SystemTime>("SELECT max(evaluated_through) FROM vyx.watermarks", &[]);
    let before = (signals(&session), through());
    let refused = session.refusal("CALL vyx_evaluate()");
    assert_eq!(refused.code().code(), "53100", "{refused:?}");
    stage.reach(&session, stage.exchange.market_time() + 3 * MINUTE);
    assert_eq!((signals(&session), through()), before, "all or nothing");
    stage.settle(&session);
    stage.check(&session);

    disk.make_room();
    until("signals come", || (signals(&session) > before.0).then_some(()));
    finish(&stage, &session, &rules);
    assert_eq!(session.one::<i32>("SELECT evaluate_pid FROM vyx_health()", &[]), worker, "nothing was restarted");
}
