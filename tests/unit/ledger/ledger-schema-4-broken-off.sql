PRAGMA application_id = 1179927896;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE anomalous (kind TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE counter (
        fact TEXT, pair INTEGER, label TEXT, part INTEGER, counted REAL NOT NULL, shown REAL NOT NULL,
        born INTEGER NOT NULL, -- the number of the first picture of this process that shows it
        PRIMARY KEY (fact, pair, label, part)
    );
INSERT INTO "counter" VALUES('created',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',1,'requested',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',1,'in-progress',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',1,'completed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',1,'cancelled',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',1,'failed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',1,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',2,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',3,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',4,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',5,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',6,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',7,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',8,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',9,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',10,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',11,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',12,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'completed',13,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',1,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',2,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',3,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',4,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',5,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',6,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',7,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',8,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',9,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',10,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',11,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',12,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',1,'failed',13,0.0,0.0,1);
INSERT INTO "counter" VALUES('deadline_missed',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('archived_document',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('completed_empty',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('reopened',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('vanished',1,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('created',2,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',2,'requested',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',2,'in-progress',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',2,'completed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',2,'cancelled',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('transition',2,'failed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',1,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',2,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',3,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',4,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',5,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',6,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',7,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',8,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',9,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',10,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',11,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',12,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'completed',13,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',1,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',2,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',3,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',4,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',5,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',6,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',7,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',8,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',9,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',10,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',11,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',12,0.0,0.0,1);
INSERT INTO "counter" VALUES('duration',2,'failed',13,0.0,0.0,1);
INSERT INTO "counter" VALUES('deadline_missed',2,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('archived_document',2,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('completed_empty',2,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('reopened',2,'',0,0.0,0.0,1);
INSERT INTO "counter" VALUES('vanished',2,'',0,0.0,0.0,1);
CREATE TABLE latest (pair INTEGER, status TEXT, at INTEGER NOT NULL, PRIMARY KEY (pair, status));
INSERT INTO "latest" VALUES(1,'requested',1795176004000);
INSERT INTO "latest" VALUES(2,'requested',1795176005000);
CREATE TABLE organization (
        reference TEXT PRIMARY KEY,
        name TEXT, -- NULL where the server refuses it, or has none
        place INTEGER NOT NULL UNIQUE -- larger than that of every one read before
    );
INSERT INTO "organization" VALUES('Organization/new-payer',NULL,1);
CREATE TABLE "pair" (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, requesting TEXT NOT NULL, UNIQUE (source, requesting)
    );
INSERT INTO "pair" VALUES(1,'Payer 0','unknown');
INSERT INTO "pair" VALUES(2,'Payer 1','unknown');
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "state" VALUES('pairs_capped','0');
INSERT INTO "state" VALUES('source','2aea48ad69906b99f30b1927854f064eefec992ed9b04484dccb37b7b49be3fc');
INSERT INTO "state" VALUES('names','3586747760');
INSERT INTO "state" VALUES('walk','["baseline", 1795176068000, ["ge", 1795176003000], 3, 8]');
CREATE TABLE tally (pair INTEGER, status TEXT, n INTEGER NOT NULL, PRIMARY KEY (pair, status));
INSERT INTO "tally" VALUES(1,'requested',3);
INSERT INTO "tally" VALUES(2,'requested',3);
CREATE TABLE task (
        place INTEGER PRIMARY KEY, -- in the order of first sight, so that a baseline only appends
        id TEXT NOT NULL, version TEXT NOT NULL, updated INTEGER NOT NULL, highest INTEGER NOT NULL,
        status TEXT NOT NULL, pair INTEGER NOT NULL, authored INTEGER, seen INTEGER NOT NULL,
        missed INTEGER NOT NULL, kinds INTEGER NOT NULL, gone TEXT, gone_at INTEGER NOT NULL, open INTEGER NOT NULL
    );
INSERT INTO "task" VALUES(1,'t0','1',1795176000000,1,'requested',1,1795172400000,1795176068000,0,0,NULL,0,1);
INSERT INTO "task" VALUES(2,'t1','1',1795176001000,1,'requested',2,1795172400000,1795176068000,0,0,NULL,0,1);
INSERT INTO "task" VALUES(3,'t2','1',1795176002000,1,'requested',1,1795172400000,1795176068000,0,0,NULL,0,1);
INSERT INTO "task" VALUES(4,'t3','1',1795176003000,1,'requested',2,1795172400000,1795176068000,0,0,NULL,0,1);
INSERT INTO "task" VALUES(5,'t4','1',1795176004000,1,'requested',1,1795172400000,1795176068000,0,0,NULL,0,1);
INSERT INTO "task" VALUES(6,'t5','1',1795176005000,1,'requested',2,1795172400000,1795176068000,0,0,NULL,0,1);
COMMIT;
