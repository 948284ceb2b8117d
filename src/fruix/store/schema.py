"""The database's schema.

That of Nix's version 10 with its tables for realisations, plus `FailedPaths` (Guix) and four tables
of Fruix, `FruixSync`, `FruixIdentity`, `FruixKept` and `FruixReplacing`.

So `nix-store -q` and `nix-store --verify` of Debian's Nix read it. In databases that are made now, `Refs`
and `DerivationOutputs` are their primary keys' indexes and nothing else (`without rowid`), which no query
can tell: a path with two references changes six pages, nine with Nix's three more. `FruixSync` has one row:
everything whose `ValidPaths.id` is up to `mark` is known to be on disk (see
`fruix.store.durability`). Ids never come back (AUTOINCREMENT), which the mark relies on.
`FruixIdentity` has one row too: 16 hex digits, made when the database is made, which tell this
store from all others. `FruixKept` has the base names of what lies in the store without being
registered, for people to look at. The meaning of the columns is told in docs/store.md.
"""

from __future__ import annotations

VERSION = "10"

CREATE = """
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);

create table if not exists Refs (
    referrer  integer not null references ValidPaths(id) on delete cascade,
    reference integer not null references ValidPaths(id) on delete restrict,
    primary key (referrer, reference)
) without rowid;
create index if not exists IndexReference on Refs(reference);

-- A path's reference to itself would forbid, by `restrict`, to delete the path.
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
begin
    delete from Refs where referrer = old.id and reference = old.id;
end;

create table if not exists DerivationOutputs (
    drv  integer not null references ValidPaths(id) on delete cascade,
    id   text not null,
    path text not null,
    primary key (drv, id)
) without rowid;
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);

-- Nix's, for outputs that their contents name: where they are (`fruix.model.realisation`).
create table if not exists Realisations (
    id         integer primary key autoincrement not null,
    drvPath    text not null,
    outputName text not null,
    outputPath integer not null references ValidPaths(id) on delete cascade,
    signatures text
);
create index if not exists IndexRealisations on Realisations(drvPath, outputName);
create index if not exists IndexRealisationsRefsOnOutputPath on Realisations(outputPath);
create table if not exists RealisationsRefs (
    referrer             integer not null references Realisations(id) on delete cascade,
    realisationReference integer references Realisations(id) on delete restrict
);
create index if not exists IndexRealisationsRefs on RealisationsRefs(referrer);
create index if not exists IndexRealisationsRefsRealisationReference
on RealisationsRefs(realisationReference);

create table if not exists SchemaMigrations (migration text primary key not null);

create table if not exists FailedPaths (path text primary key not null, time integer not null);

create table if not exists FruixSync (id integer primary key check (id = 1), mark integer not null);
insert or ignore into FruixSync (id, mark) values (1, 0);

create table if not exists FruixIdentity (id integer primary key check (id = 1), identity text not null);
insert or ignore into FruixIdentity (id, identity) values (1, lower(hex(randomblob(8))));

create table if not exists FruixKept (name text primary key not null);

-- What the files of a valid path may be while they are replaced (fruix.store.replacement).
create table if not exists FruixReplacing (
    path text not null,
    hash text not null,
    size integer not null,
    primary key (path, hash)
);
"""

# Of a database that is made now; others keep theirs. A transaction writes whole pages, some nine for a
# path with two references: with half of SQLite's 4096 bytes its commit takes half of the time, while
# questions and passes over all rows take no longer (measured with 200,000 paths).
PAGE_SIZE = "pragma page_size = 2048"

# Per connection. `normal` with a write-ahead log: a power cut may take the last transactions, never
# the consistency.
CONNECTION = (
    "pragma foreign_keys = 1",
    "pragma synchronous = normal",
    "pragma wal_autocheckpoint = 40000",
)

INFO = """
select v.path, v.hash, v.registrationTime, v.deriver, v.narSize, v.ultimate, v.sigs, v.ca,
       (select group_concat(w.path, ' ') from Refs r join ValidPaths w on w.id = r.reference
        where r.referrer = v.id), v.id
from ValidPaths v
"""
INFO_BY_PATH = INFO + "where v.path = ?"
INFO_AFTER_ID = INFO + "where v.id > ? order by v.id limit ?"

# As one text: to fetch it costs less than rows do. No row at all: null.
BASES_BETWEEN = "select group_concat(substr(path, ?), '/') from ValidPaths where id > ? and id <= ?"
CONTENTS_AFTER_ID = "select id, path, hash, narSize from ValidPaths where id > ? order by id limit ?"
CONTENTS_OF_BIG = """
select id, path, hash, narSize from ValidPaths where narSize >= ? order by narSize desc limit ?
"""
CONTENTS_OF = "select id, path, hash, narSize from ValidPaths where path = ?"

IS_VALID = "select 1 from ValidPaths where path = ?"
VALID_OF = "select value from json_each(?) where value in (select path from ValidPaths)"
PATHS_AFTER_ID = "select id, path from ValidPaths where id > ? order by id limit ?"
COUNT = "select count(*) from ValidPaths"
ALL_PATHS = "select path from ValidPaths order by path"
HASH_PART = "select path from ValidPaths where path >= ? and path < ? limit 1"
REFERENCES = """
select w.path from ValidPaths v join Refs r on r.referrer = v.id join ValidPaths w on w.id = r.reference
where v.path = ? order by w.path
"""
REFERRERS = """
select w.path from ValidPaths v join Refs r on r.reference = v.id join ValidPaths w on w.id = r.referrer
where v.path = ? order by w.path
"""
DERIVERS = """
select v.path from DerivationOutputs d join ValidPaths v on v.id = d.drv where d.path = ? order by v.path
"""
OUTPUTS = """
select d.id, d.path from ValidPaths v join DerivationOutputs d on d.drv = v.id where v.path = ? order by d.id
"""
_CLOSED = """
with recursive closed(id) as (
    select v.id from json_each(?) j join ValidPaths v on v.path = j.value
    union
    select r.reference from closed c join Refs r on r.referrer = c.id
)
"""
CLOSURE = _CLOSED + "select v.path from closed c join ValidPaths v on v.id = c.id"  # noqa: S608 - constants
INFO_CLOSURE = _CLOSED + INFO + "where v.id in closed"
REFERRERS_CLOSURE = """
with recursive closed(id) as (
    select v.id from json_each(?) j join ValidPaths v on v.path = j.value
    union
    select r.referrer from closed c join Refs r on r.reference = c.id
)
select v.path from closed c join ValidPaths v on v.id = c.id
"""

# For collections: all rows, and the edges of the graph of what keeps what alive, from the row that
# each begins at, for those that begin after a row (0 gives all).
# Many rows as one text: SQLite and the reader of JSON take half as long for them as for a tuple each.
GRAPH_ROWS = "select json_group_array(id) from ValidPaths where id between ? and ?"
GRAPH_REFERENCES = """
select json_group_array(referrer), json_group_array(reference) from (select referrer, reference from Refs
where referrer > ? and referrer <= ? and referrer <> reference order by 1 desc limit -1)
"""
# `EDGES_DERIVERS`, all of them, without a pass over all paths.
GRAPH_DERIVERS = """
select v.id, d.drv from DerivationOutputs d cross join ValidPaths w on w.id = d.drv
cross join ValidPaths v on v.path = d.path and v.deriver = w.path where d.drv > ? order by 1
"""
GRAPH_SIZES = "select id, coalesce(narSize, 0) from ValidPaths"
# Ordered by where they begin.
EDGES_REFERENCES = (
    "select referrer, reference from Refs where referrer > ? and referrer <> reference order by 1"
)
EDGES_DERIVERS = """
select v.id, d.drv from ValidPaths v join ValidPaths w on w.path = v.deriver
join DerivationOutputs d on d.drv = w.id and d.path = v.path where v.id > ? order by 1
"""
EDGES_OUTPUTS = """
select d.drv, v.id from DerivationOutputs d join ValidPaths v on v.path = d.path where d.drv > ? order by 1
"""
ROWS_AFTER = "select id from ValidPaths where id > ?"
ROWS_OF = "select id, path from ValidPaths where path in (select value from json_each(?))"
PATHS_OF = "select id, path from ValidPaths where id in (select value from json_each(?))"
PATHS_OF_ROWS = "select path from ValidPaths where id in (select value from json_each(?))"
# Of some rows, those that others refer to.
HELD_FROM_OUTSIDE = """
select distinct reference from Refs where reference in (select value from json_each(?1))
and referrer not in (select value from json_each(?1))
"""
DELETE_REFERENCES_OF_ROWS = "delete from Refs where referrer in (select value from json_each(?))"
DELETE_ROWS = "delete from ValidPaths where id in (select value from json_each(?))"

FIND_ID = "select id from ValidPaths where path = ?"
INSERT_PATH = """
insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)
values (?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE_PATH = "update ValidPaths set hash = ?, narSize = ?, ultimate = ?, sigs = ?, ca = ? where id = ?"
INSERT_REFERENCE = """
insert or replace into Refs (referrer, reference) select ?, id from ValidPaths where path = ?
"""
ADD_REFERENCE = """
insert or ignore into Refs (referrer, reference)
select own.id, other.id from ValidPaths as own, ValidPaths as other where own.path = ? and other.path = ?
"""
INSERT_OUTPUT = "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)"
DELETE_REFERENCES_OF = "delete from Refs where referrer in (select id from ValidPaths where path = ?)"
DELETE_PATH = "delete from ValidPaths where path = ?"

REALISATION = """
select v.path, r.signatures from Realisations r join ValidPaths v on v.id = r.outputPath
where r.drvPath = ? and r.outputName = ?
"""
DELETE_REALISATION = "delete from Realisations where drvPath = ? and outputName = ?"
INSERT_REALISATION = """
insert into Realisations (drvPath, outputName, outputPath, signatures)
select ?, ?, id, ? from ValidPaths where path = ?
"""

FAILED = "select path from FailedPaths order by path"
FAILED_WITH_TIMES = "select path, time from FailedPaths"
IS_FAILED = "select path from FailedPaths where path = ?"
INSERT_FAILED = "insert or ignore into FailedPaths (path, time) values (?, ?)"
DELETE_FAILED = "delete from FailedPaths where path = ?"
DELETE_ALL_FAILED = "delete from FailedPaths"

KEPT = "select name from FruixKept"
DELETE_KEPT = "delete from FruixKept where name = ?"
INSERT_KEPT = "insert or ignore into FruixKept (name) values (?)"

REPLACING_PATHS = "select path from FruixReplacing"
REPLACING = "select hash, size from FruixReplacing where path = ?"
INSERT_REPLACING = "insert or replace into FruixReplacing (path, hash, size) values (?, ?, ?)"
DELETE_REPLACING = "delete from FruixReplacing where path = ?"
UPDATE_CONTENTS = "update ValidPaths set hash = ?, narSize = ? where path = ?"

NEWEST_PATH = "select path from ValidPaths order by id desc limit 1"
NEWEST_SYNCED_PATH = """
select path from ValidPaths where id <= (select mark from FruixSync where id = 1) order by id desc limit 1
"""
# The highest id that there ever was, also of a row that has gone; 0 if there are no rows at all.
NEWEST_ID = """
select coalesce(max(seq), 0) from sqlite_sequence where name = 'ValidPaths'
and exists (select 1 from ValidPaths)
"""
LAST_ID = "select coalesce(max(id), 0) from ValidPaths"
GET_MARK = "select mark from FruixSync where id = 1"
GET_IDENTITY = "select identity from FruixIdentity where id = 1"
SET_MARK = "update FruixSync set mark = ? where id = 1 and mark < ?"
