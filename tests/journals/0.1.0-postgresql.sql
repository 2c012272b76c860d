-- A journal as Evergreen 0.1.0 wrote it, on PostgreSQL.
CREATE TABLE public.about (
    seq integer NOT NULL,
    schema_version integer NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.about_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.about_seq_seq OWNED BY public.about.seq;
CREATE TABLE public.bars (
    seq integer NOT NULL,
    event text NOT NULL,
    reason text NOT NULL,
    person text NOT NULL,
    version integer NOT NULL,
    barred boolean NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.bars_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.bars_seq_seq OWNED BY public.bars.seq;
CREATE TABLE public.cycles (
    seq integer NOT NULL,
    cycle text NOT NULL,
    facts json,
    at text NOT NULL
);
CREATE SEQUENCE public.cycles_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.cycles_seq_seq OWNED BY public.cycles.seq;
CREATE TABLE public.decisions (
    seq integer NOT NULL,
    decision text NOT NULL,
    training_key text NOT NULL,
    inputs text NOT NULL,
    verdict text NOT NULL,
    snapshot text NOT NULL,
    data_time text NOT NULL,
    candidate integer,
    champion integer,
    record json,
    at text NOT NULL
);
CREATE SEQUENCE public.decisions_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.decisions_seq_seq OWNED BY public.decisions.seq;
CREATE TABLE public.deliveries (
    seq integer NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    delivery text NOT NULL,
    rules text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    stat text NOT NULL,
    batch text,
    newest text,
    row_count integer,
    warnings json,
    after integer NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.deliveries_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deliveries_seq_seq OWNED BY public.deliveries.seq;
CREATE TABLE public.ledger (
    seq integer NOT NULL,
    spend text NOT NULL,
    data_time text NOT NULL,
    purpose text NOT NULL,
    alpha double precision NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.ledger_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_seq_seq OWNED BY public.ledger.seq;
CREATE TABLE public.owner (
    seq integer NOT NULL,
    slot integer NOT NULL,
    problem text NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.owner_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.owner_seq_seq OWNED BY public.owner.seq;
CREATE TABLE public.promotions (
    seq integer NOT NULL,
    promotion text NOT NULL,
    state text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    person text NOT NULL,
    version integer NOT NULL,
    champion integer,
    anchor integer,
    at text NOT NULL
);
CREATE SEQUENCE public.promotions_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.promotions_seq_seq OWNED BY public.promotions.seq;
CREATE TABLE public.publications (
    seq integer NOT NULL,
    publication text NOT NULL,
    partition text NOT NULL,
    snapshot text NOT NULL,
    path text NOT NULL,
    content text NOT NULL,
    version integer NOT NULL,
    row_count integer NOT NULL,
    after integer NOT NULL,
    at text NOT NULL
);
CREATE SEQUENCE public.publications_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.publications_seq_seq OWNED BY public.publications.seq;
CREATE TABLE public.snapshots (
    seq integer NOT NULL,
    snapshot text NOT NULL,
    batches json,
    at text NOT NULL
);
CREATE SEQUENCE public.snapshots_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.snapshots_seq_seq OWNED BY public.snapshots.seq;
CREATE TABLE public.tunings (
    seq integer NOT NULL,
    recipe text NOT NULL,
    tuning text NOT NULL,
    parameters json,
    cost double precision,
    at text NOT NULL
);
CREATE SEQUENCE public.tunings_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.tunings_seq_seq OWNED BY public.tunings.seq;
CREATE TABLE public.versions (
    seq integer NOT NULL,
    training_key text NOT NULL,
    run_id text NOT NULL,
    snapshot text NOT NULL,
    artefact text NOT NULL,
    evidence text NOT NULL,
    version integer NOT NULL,
    facts json,
    at text NOT NULL
);
CREATE SEQUENCE public.versions_seq_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.versions_seq_seq OWNED BY public.versions.seq;
ALTER TABLE ONLY public.about ALTER COLUMN seq SET DEFAULT nextval('public.about_seq_seq'::regclass);
ALTER TABLE ONLY public.bars ALTER COLUMN seq SET DEFAULT nextval('public.bars_seq_seq'::regclass);
ALTER TABLE ONLY public.cycles ALTER COLUMN seq SET DEFAULT nextval('public.cycles_seq_seq'::regclass);
ALTER TABLE ONLY public.decisions ALTER COLUMN seq SET DEFAULT nextval('public.decisions_seq_seq'::regclass);
ALTER TABLE ONLY public.deliveries ALTER COLUMN seq SET DEFAULT nextval('public.deliveries_seq_seq'::regclass);
ALTER TABLE ONLY public.ledger ALTER COLUMN seq SET DEFAULT nextval('public.ledger_seq_seq'::regclass);
ALTER TABLE ONLY public.owner ALTER COLUMN seq SET DEFAULT nextval('public.owner_seq_seq'::regclass);
ALTER TABLE ONLY public.promotions ALTER COLUMN seq SET DEFAULT nextval('public.promotions_seq_seq'::regclass);
ALTER TABLE ONLY public.publications ALTER COLUMN seq SET DEFAULT nextval('public.publications_seq_seq'::regclass);
ALTER TABLE ONLY public.snapshots ALTER COLUMN seq SET DEFAULT nextval('public.snapshots_seq_seq'::regclass);
ALTER TABLE ONLY public.tunings ALTER COLUMN seq SET DEFAULT nextval('public.tunings_seq_seq'::regclass);
ALTER TABLE ONLY public.versions ALTER COLUMN seq SET DEFAULT nextval('public.versions_seq_seq'::regclass);
INSERT INTO public.about VALUES (1, 1, '2026-11-25T22:51:30.763949+00:00');
INSERT INTO public.bars VALUES (1, 'fcde2b2edba5', 'rolled back from', 'ann', 2, true, '2026-11-25T22:51:30.784182+00:00');
INSERT INTO public.cycles VALUES (1, '2024-02', '{"verdict": "PROMOTE"}', '2026-11-25T22:51:30.788752+00:00');
INSERT INTO public.decisions VALUES (1, '8b53639f152c', 'ca786f1e02cd', 'de7d1b721a1e', 'PROMOTE', '043a718774c5', '2024-02-29', 1, NULL, '{"verdict": "PROMOTE", "money": []}', '2026-11-25T22:51:30.777233+00:00');
INSERT INTO public.decisions VALUES (2, 'e788103ee153', '0f65bb555350', 'de7d1b721a1e', 'HOLD', '043a718774c5', '2024-02-29', 2, 1, '{"verdict": "HOLD", "money": [], "said": "na\u00efve"}', '2026-11-25T22:51:30.778958+00:00');
INSERT INTO public.deliveries VALUES (1, 'orders', '2024-01.csv', '3f524cdc07a1', '454349e422f0', 'published', '', '1200 1706745600', '7dc96f776c84', '2024-01-31T22:10:00', 410, '[]', 0, '2026-11-25T22:51:30.768406+00:00');
INSERT INTO public.deliveries VALUES (2, 'orders', '2024-02.csv', 'e4ab4e3b1493', '454349e422f0', 'quarantined', 'amount: 3 of 400 rows are below 0; it''s wrong', '1180 1709251200', NULL, NULL, NULL, 'null', 0, '2026-11-25T22:51:30.770473+00:00');
INSERT INTO public.deliveries VALUES (3, 'orders', '2024-02.csv', '625e0f649de2', '454349e422f0', 'published', '', '1181 1709251300', '4814d92093ac', '2024-02-29T23:59:00', 400, '["amount: mean 40.2 is above 40"]', 2, '2026-11-25T22:51:30.771700+00:00');
INSERT INTO public.ledger VALUES (1, 'acac86c0e609', '2024-02-29', 'gate', 0.0033333333333333335, '2026-11-25T22:51:30.780049+00:00');
INSERT INTO public.owner VALUES (1, 1, 'shop', '2026-11-25T22:51:30.765505+00:00');
INSERT INTO public.promotions VALUES (1, '0', 'intent', 'promotion', 'the gate said PROMOTE', '', 1, NULL, NULL, '2026-11-25T22:51:30.781585+00:00');
INSERT INTO public.promotions VALUES (2, '0', 'done', 'promotion', 'the gate said PROMOTE', '', 1, NULL, NULL, '2026-11-25T22:51:30.783130+00:00');
INSERT INTO public.publications VALUES (1, '148de9c5a7a4', 'dt=2024-03-01', '043a718774c5', 'predictions/dt=2024-03-01/148de9c5a7a4.parquet', '2e7d2c03a950', 1, 40, 0, '2026-11-25T22:51:30.787107+00:00');
INSERT INTO public.snapshots VALUES (1, '043a718774c5', '{"orders": ["7dc96f776c84", "4814d92093ac"]}', '2026-11-25T22:51:30.772893+00:00');
INSERT INTO public.tunings VALUES (1, '3ac1ecbd2220', '764c4c7b78d6', '{"depth": 3}', 2.5, '2026-11-25T22:51:30.785673+00:00');
INSERT INTO public.versions VALUES (1, 'ca786f1e02cd', 'b945d8cb026e', '043a718774c5', '042a5f2e7634', '31aba80acc4b', 1, '{"features": ["amount", "stock_level"], "parameters": {}, "metrics": {"cv_cost": 0.30000000000000004}}', '2026-11-25T22:51:30.774376+00:00');
INSERT INTO public.versions VALUES (2, '0f65bb555350', '32d8c6c9dff6', '043a718774c5', 'cde7347338c9', 'e9bdd6765f5d', 2, '{"features": ["amount", "stock_level"], "parameters": {}, "metrics": {"cv_cost": 0.30000000000000004}}', '2026-11-25T22:51:30.776033+00:00');
SELECT pg_catalog.setval('public.about_seq_seq', 1, true);
SELECT pg_catalog.setval('public.bars_seq_seq', 1, true);
SELECT pg_catalog.setval('public.cycles_seq_seq', 1, true);
SELECT pg_catalog.setval('public.decisions_seq_seq', 2, true);
SELECT pg_catalog.setval('public.deliveries_seq_seq', 3, true);
SELECT pg_catalog.setval('public.ledger_seq_seq', 1, true);
SELECT pg_catalog.setval('public.owner_seq_seq', 1, true);
SELECT pg_catalog.setval('public.promotions_seq_seq', 2, true);
SELECT pg_catalog.setval('public.publications_seq_seq', 1, true);
SELECT pg_catalog.setval('public.snapshots_seq_seq', 1, true);
SELECT pg_catalog.setval('public.tunings_seq_seq', 1, true);
SELECT pg_catalog.setval('public.versions_seq_seq', 2, true);
ALTER TABLE ONLY public.about
    ADD CONSTRAINT about_once UNIQUE (schema_version);
ALTER TABLE ONLY public.about
    ADD CONSTRAINT about_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.bars
    ADD CONSTRAINT bars_once UNIQUE (event);
ALTER TABLE ONLY public.bars
    ADD CONSTRAINT bars_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.cycles
    ADD CONSTRAINT cycles_once UNIQUE (cycle);
ALTER TABLE ONLY public.cycles
    ADD CONSTRAINT cycles_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_once UNIQUE (decision);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_once UNIQUE (source, name, delivery, rules, after);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_once UNIQUE (spend);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.owner
    ADD CONSTRAINT owner_once UNIQUE (slot);
ALTER TABLE ONLY public.owner
    ADD CONSTRAINT owner_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.promotions
    ADD CONSTRAINT promotions_once UNIQUE (promotion, state);
ALTER TABLE ONLY public.promotions
    ADD CONSTRAINT promotions_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.publications
    ADD CONSTRAINT publications_once UNIQUE (partition, publication, after);
ALTER TABLE ONLY public.publications
    ADD CONSTRAINT publications_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT snapshots_once UNIQUE (snapshot);
ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.tunings
    ADD CONSTRAINT tunings_once UNIQUE (tuning);
ALTER TABLE ONLY public.tunings
    ADD CONSTRAINT tunings_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_once UNIQUE (training_key);
ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (seq);
