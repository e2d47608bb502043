//! A session that waits for each answer, so that tests read from top to bottom.

use futures_util::TryStreamExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::DbError;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Row};

pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

pub struct Session {
    // Dropped first, so that the connection's task sees it and says goodbye while the runtime lives.
    client: Client,
    /// The connection works in it while a call waits.
    runtime: Runtime,
    notices: Arc<Mutex<Vec<DbError>>>,
    notifications: Arc<Mutex<Vec<String>>>,
}

impl Session {
    pub fn connect(socket: &Path, database: &str) -> Result<Session, Error> {
        Session::connect_as("postgres", "", socket, database)
    }

    /// A session of this login role, with options as in `PGOPTIONS`.
    pub fn connect_as(user: &str, options: &str, socket: &Path, database: &str) -> Result<Session, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let mut config = Config::new();
        config.host_path(socket).port(5432).user(user).dbname(database).application_name("e2e").options(options);
        let notices = Arc::new(Mutex::new(Vec::new()));
        let notifications = Arc::new(Mutex::new(Vec::new()));
        let (kept, heard) = (notices.clone(), notifications.clone());
        let client = runtime.block_on(async {
            let (client, mut connection) = config.connect(NoTls).await?;
            tokio::spawn(async move {
                // An error of the connection is also the error of the call that waits.
                while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    match message {
                        AsyncMessage::Notice(notice) => {
                            kept.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
                        }
                        AsyncMessage::Notification(word) => {
                            heard.lock().unwrap_or_else(PoisonError::into_inner).push(word.payload().to_owned());
                        }
                        _ => {}
                    }
                }
            });
            Ok::<_, Error>(client)
        })?;
        Ok(Session { client, runtime, notices, notifications })
    }

    pub fn try_rows(&self, sql: &str, params: Params) -> Result<Vec<Row>, Error> {
        self.runtime.block_on(self.client.query(sql, params))
    }

    #[track_caller]
    pub fn rows(&self, sql: &str, params: Params) -> Vec<Row> {
        self.try_rows(sql, params).unwrap_or_else(|error| panic!("{sql}\n{}", words(&error)))
    }

    /// The first column of the only row.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&self, sql: &str, params: Params) -> T {
        let rows = self.rows(sql, params);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].get(0)
    }

    /// Runs statements without parameters, of any kind.
    pub fn try_run(&self, sql: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}\n{}", words(&error)));
    }

    /// What COPY sends.
    pub fn try_copy_out(&self, sql: &str) -> Result<String, Error> {
        self.runtime.block_on(async {
            let parts: Vec<_> = self.client.copy_out(sql).await?.try_collect().await?;
            Ok(parts.iter().map(|part| String::from_utf8_lossy(part)).collect())
        })
    }

    /// Changes settings and has them read again.
    #[track_caller]
    pub fn reload(&self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.run(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        self.run("SELECT pg_reload_conf()");
    }

    /// Why the server refuses a statement.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn refusal(&self, sql: &str) -> DbError {
        match self.try_run(sql) {
            Ok(()) => panic!("not refused: {sql}"),
            Err(error) => error.as_db_error().unwrap_or_else(|| panic!("{sql}\n{error}")).clone(),
        }
    }

    /// A statement is refused with this SQLSTATE, in words that hold each of these, and with advice.
    #[track_caller]
    pub fn refuses(&self, sqlstate: &str, words: &[&str], sql: &str) {
        let error = self.refusal(sql);
        assert_eq!(error.code().code(), sqlstate, "{sql}\n{error:?}");
        let text = format!("{}\n{}\n{}", error.message(), error.detail().unwrap_or(""), error.hint().unwrap_or(""));
        for word in words {
            assert!(text.contains(word), "\"{word}\" is not said of {sql}\n{text}");
        }
    }

    /// The notices since the last call.
    pub fn notices(&self) -> Vec<DbError> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The payloads of notifications since the last call; a round trip fetches what has come.
    pub fn notifications(&self) -> Vec<String> {
        self.run("SELECT 1");
        std::mem::take(&mut *self.notifications.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has a process of the server for which there is no other door ended as an administrator would.
    #[track_caller]
    pub fn terminate(&self, pid: i32) {
        let _: bool = self.one("SELECT pg_terminate_backend($1)", &[&pid]);
    }
}

/// An error with all that the server said.
fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!(
            "{}: {}\n{}\n{}",
            said.code().code(),
            said.message(),
            said.detail().unwrap_or(""),
            said.hint().unwrap_or("")
        ),
        None => error.to_string(),
    }
}

/// Milliseconds since 1970.
pub fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).expect("the market is younger than 1970").as_millis() as i64
}
