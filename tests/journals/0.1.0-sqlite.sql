-- A journal as Evergreen 0.1.0 wrote it, on SQLite.
BEGIN TRANSACTION;
CREATE TABLE about (
	seq INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT about_once UNIQUE (schema_version)
);
INSERT INTO "about" VALUES(1,1,'2026-11-25T22:51:29.005882+00:00');
CREATE TABLE bars (
	seq INTEGER NOT NULL, 
	event TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	person TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	barred BOOLEAN NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT bars_once UNIQUE (event)
);
INSERT INTO "bars" VALUES(1,'fcde2b2edba5','rolled back from','ann',2,1,'2026-11-25T22:51:29.016400+00:00');
CREATE TABLE cycles (
	seq INTEGER NOT NULL, 
	cycle TEXT NOT NULL, 
	facts JSON, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT cycles_once UNIQUE (cycle)
);
INSERT INTO "cycles" VALUES(1,'2024-02','{"verdict": "PROMOTE"}','2026-11-25T22:51:29.019065+00:00');
CREATE TABLE decisions (
	seq INTEGER NOT NULL, 
	decision TEXT NOT NULL, 
	training_key TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	snapshot TEXT NOT NULL, 
	data_time TEXT NOT NULL, 
	candidate INTEGER, 
	champion INTEGER, 
	record JSON, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT decisions_once UNIQUE (decision)
);
INSERT INTO "decisions" VALUES(1,'8b53639f152c','ca786f1e02cd','de7d1b721a1e','PROMOTE','043a718774c5','2024-02-29',1,NULL,'{"verdict": "PROMOTE", "money": []}','2026-11-25T22:51:29.012658+00:00');
INSERT INTO "decisions" VALUES(2,'e788103ee153','0f65bb555350','de7d1b721a1e','HOLD','043a718774c5','2024-02-29',2,1,'{"verdict": "HOLD", "money": [], "said": "na\u00efve"}','2026-11-25T22:51:29.013720+00:00');
CREATE TABLE deliveries (
	seq INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	name TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	rules TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	stat TEXT NOT NULL, 
	batch TEXT, 
	newest TEXT, 
	row_count INTEGER, 
	warnings JSON, 
	"after" INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT deliveries_once UNIQUE (source, name, delivery, rules, "after")
);
INSERT INTO "deliveries" VALUES(1,'orders','2024-01.csv','3f524cdc07a1','454349e422f0','published','','1200 1706745600','7dc96f776c84','2024-01-31T22:10:00',410,'[]',0,'2026-11-25T22:51:29.008321+00:00');
INSERT INTO "deliveries" VALUES(2,'orders','2024-02.csv','e4ab4e3b1493','454349e422f0','quarantined','amount: 3 of 400 rows are below 0; it''s wrong','1180 1709251200',NULL,NULL,NULL,'null',0,'2026-11-25T22:51:29.009474+00:00');
INSERT INTO "deliveries" VALUES(3,'orders','2024-02.csv','625e0f649de2','454349e422f0','published','','1181 1709251300','4814d92093ac','2024-02-29T23:59:00',400,'["amount: mean 40.2 is above 40"]',2,'2026-11-25T22:51:29.010058+00:00');
CREATE TABLE ledger (
	seq INTEGER NOT NULL, 
	spend TEXT NOT NULL, 
	data_time TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	alpha FLOAT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT ledger_once UNIQUE (spend)
);
INSERT INTO "ledger" VALUES(1,'acac86c0e609','2024-02-29','gate',3.33333333333333354728e-03,'2026-11-25T22:51:29.014243+00:00');
CREATE TABLE owner (
	seq INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	problem TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT owner_once UNIQUE (slot)
);
INSERT INTO "owner" VALUES(1,1,'shop','2026-11-25T22:51:29.006963+00:00');
CREATE TABLE promotions (
	seq INTEGER NOT NULL, 
	promotion TEXT NOT NULL, 
	state TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	person TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	champion INTEGER, 
	anchor INTEGER, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT promotions_once UNIQUE (promotion, state)
);
INSERT INTO "promotions" VALUES(1,'0','intent','promotion','the gate said PROMOTE','',1,NULL,NULL,'2026-11-25T22:51:29.014922+00:00');
INSERT INTO "promotions" VALUES(2,'0','done','promotion','the gate said PROMOTE','',1,NULL,NULL,'2026-11-25T22:51:29.015756+00:00');
CREATE TABLE publications (
	seq INTEGER NOT NULL, 
	publication TEXT NOT NULL, 
	partition TEXT NOT NULL, 
	snapshot TEXT NOT NULL, 
	path TEXT NOT NULL, 
	content TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	row_count INTEGER NOT NULL, 
	"after" INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT publications_once UNIQUE (partition, publication, "after")
);
INSERT INTO "publications" VALUES(1,'148de9c5a7a4','dt=2024-03-01','043a718774c5','predictions/dt=2024-03-01/148de9c5a7a4.parquet','2e7d2c03a950',1,40,0,'2026-11-25T22:51:29.018164+00:00');
CREATE TABLE snapshots (
	seq INTEGER NOT NULL, 
	snapshot TEXT NOT NULL, 
	batches JSON, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT snapshots_once UNIQUE (snapshot)
);
INSERT INTO "snapshots" VALUES(1,'043a718774c5','{"orders": ["7dc96f776c84", "4814d92093ac"]}','2026-11-25T22:51:29.010604+00:00');
CREATE TABLE tunings (
	seq INTEGER NOT NULL, 
	recipe TEXT NOT NULL, 
	tuning TEXT NOT NULL, 
	parameters JSON, 
	cost FLOAT, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT tunings_once UNIQUE (tuning)
);
INSERT INTO "tunings" VALUES(1,'3ac1ecbd2220','764c4c7b78d6','{"depth": 3}',2.5,'2026-11-25T22:51:29.017317+00:00');
CREATE TABLE versions (
	seq INTEGER NOT NULL, 
	training_key TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	snapshot TEXT NOT NULL, 
	artefact TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	facts JSON, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT versions_once UNIQUE (training_key)
);
INSERT INTO "versions" VALUES(1,'ca786f1e02cd','b945d8cb026e','043a718774c5','042a5f2e7634','31aba80acc4b',1,'{"features": ["amount", "stock_level"], "parameters": {}, "metrics": {"cv_cost": 0.30000000000000004}}','2026-11-25T22:51:29.011292+00:00');
INSERT INTO "versions" VALUES(2,'0f65bb555350','32d8c6c9dff6','043a718774c5','cde7347338c9','e9bdd6765f5d',2,'{"features": ["amount", "stock_level"], "parameters": {}, "metrics": {"cv_cost": 0.30000000000000004}}','2026-11-25T22:51:29.012145+00:00');
COMMIT;
