//! The statements of the writer of `queue.db`.
//!
//! None of them makes SQLite keep what it has read in a table of its own, as `returning` does, and an
//! `insert` from a `select` of the same table: that takes a third of a small transaction.

use rusqlite::{Connection, Statement};

use super::attempts;
use crate::store::sqlite::journal::Journal;

/// The statements.
pub(super) struct Statements<'c> {
    pub(super) connection: &'c Connection,
    pub(super) delivery: Statement<'c>,
    pub(super) content: Statement<'c>,
    pub(super) piece: Statement<'c>,
    pub(super) progress: Statement<'c>,
    pub(super) attempt: Statement<'c>,
    pub(super) drop_attempts: Statement<'c>,
    pub(super) of_delivery: Statement<'c>,
    pub(super) of_content: Statement<'c>,
    pub(super) drop_delivery: Statement<'c>,
    pub(super) drop_content: Statement<'c>,
    pub(super) drop_piece: Statement<'c>,
    pub(super) claim: Statement<'c>,
}

impl<'c> Statements<'c> {
    /// Prepares them.
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            delivery: connection.prepare(
                "insert into delivery values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
                 ?14)",
            )?,
            content: connection.prepare("insert into content values (?1, ?2, ?3, ?4)")?,
            piece: connection.prepare("insert into piece values (?1, ?2)")?,
            progress: connection.prepare(
                "update delivery set state = ?2, attempts = ?3, round = ?4, due_ms = ?5, \
                 aged_from_ms = ?6, last_status = ?7 where number = ?1",
            )?,
            attempt: connection.prepare(attempts::WRITE)?,
            drop_attempts: connection.prepare(attempts::DROP)?,
            of_delivery: connection
                .prepare("select bytes, attempts from delivery where number = ?1")?,
            of_content: connection.prepare("select pieces from content where number = ?1")?,
            drop_delivery: connection.prepare("delete from delivery where number = ?1")?,
            drop_content: connection.prepare("delete from content where number = ?1")?,
            drop_piece: connection.prepare("delete from piece where number = ?1")?,
            claim: Journal::statement(connection)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_makes_a_table_for_what_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = super::super::KIND.open(folder.path()).unwrap();
        let own = Statements::prepare(&connection).unwrap();
        let all = [
            own.delivery,
            own.content,
            own.piece,
            own.progress,
            own.attempt,
            own.drop_attempts,
            own.of_delivery,
            own.of_content,
            own.drop_delivery,
            own.drop_content,
            own.drop_piece,
            own.claim,
        ];
        for statement in &all {
            let sql = statement.expanded_sql().unwrap();
            let mut explain = connection.prepare(&format!("explain {sql}")).unwrap();
            let steps = explain.query_map((), |row| row.get("opcode")).unwrap();
            let steps = steps.collect::<rusqlite::Result<Vec<String>>>().unwrap();
            assert!(steps.len() > 3, "{sql}");
            assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}");
        }
    }
}
