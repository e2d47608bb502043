//! Who was away and asks what is new.

use super::Session;
use tokio_postgres::Row;

/// Somebody who asks what is new, and remembers the cursor of the last row.
pub struct Client {
    pub cursor: String,
    /// The ids of what it was given, in that order.
    pub seen: Vec<String>,
}

impl Client {
    pub fn at(cursor: &str) -> Client {
        Client { cursor: cursor.to_owned(), seen: Vec::new() }
    }

    /// Reads until there is nothing more.
    pub fn read(&mut self, session: &Session) {
        loop {
            let rows = since(session, Some(&self.cursor), 7);
            let Some(last) = rows.last() else { return };
            self.cursor = last.get("cursor");
            self.seen.extend(rows.iter().map(|row| row.get::<_, String>("id")));
        }
    }

    /// The number that its cursor ends in.
    pub fn seq(&self) -> i64 {
        self.cursor.rsplit('.').next().and_then(|seq| seq.parse().ok()).expect("a cursor ends in a number")
    }
}

pub fn since(session: &Session, cursor: Option<&str>, limit: i32) -> Vec<Row> {
    session.rows("SELECT s.id::text, s.\"cursor\" FROM vyx_signals_since($1, $2) s", &[&cursor, &limit])
}
