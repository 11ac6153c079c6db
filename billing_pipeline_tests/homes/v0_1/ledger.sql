BEGIN TRANSACTION;
CREATE TABLE adjustment_versions (
	adjustment_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	action TEXT NOT NULL, 
	title TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	unit_price_net TEXT NOT NULL, 
	vat_percent TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	item_number TEXT NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_adjustment_versions PRIMARY KEY (adjustment_id, version), 
	CONSTRAINT fk_adjustment_versions_adjustment_id FOREIGN KEY(adjustment_id) REFERENCES adjustments (id)
);
INSERT INTO "adjustment_versions" VALUES(1,1,'add','Discount','1','-5.00','19','','',0,'loyal customer','Kim','2026-11-26 21:51:38.288778');
INSERT INTO "adjustment_versions" VALUES(1,2,'edit','Discount','1','-10.00','19','','',0,'more of it','Robin','2026-11-26 21:51:43.040782');
INSERT INTO "adjustment_versions" VALUES(2,1,'add','Mistake','2','3.00','19','','',0,'typed','Kim','2026-11-26 21:51:47.177466');
INSERT INTO "adjustment_versions" VALUES(2,2,'delete','Mistake','2','3.00','19','','',1,'typed wrongly','Kim','2026-11-26 21:51:52.501528');
INSERT INTO "adjustment_versions" VALUES(3,1,'add','Forgotten item','3','2.50','19','Stk','ITEM',0,'forgotten','Kim','2026-11-26 21:53:36.279171');
CREATE TABLE adjustments (
	id INTEGER NOT NULL, 
	month TEXT NOT NULL, 
	customer_number TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_adjustments PRIMARY KEY (id)
);
INSERT INTO "adjustments" VALUES(1,'2026-08','10002','2026-11-26 21:51:38.288778');
INSERT INTO "adjustments" VALUES(2,'2026-08','10002','2026-11-26 21:51:47.177466');
INSERT INTO "adjustments" VALUES(3,'2026-09','10009','2026-11-26 21:53:36.279171');
CREATE TABLE billed_rows (
	id INTEGER NOT NULL, 
	source_kind TEXT NOT NULL, 
	source_id TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	customer_number TEXT NOT NULL, 
	month TEXT NOT NULL, 
	delivery_id INTEGER NOT NULL, 
	taken_over_id INTEGER, 
	released_at DATETIME, 
	CONSTRAINT pk_billed_rows PRIMARY KEY (id), 
	CONSTRAINT fk_billed_rows_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id), 
	CONSTRAINT fk_billed_rows_taken_over_id FOREIGN KEY(taken_over_id) REFERENCES billed_rows (id)
);
INSERT INTO "billed_rows" VALUES(1,'fee','CF-01-1','a8a3e5b61509f03d10bb9d420d67100a9ee4bc15327f72e0dd43cd759b254841','10001','2026-08',1,NULL,NULL);
INSERT INTO "billed_rows" VALUES(2,'service','SV-01-1','b5f5a989958a3f7fd4858f5cba1b1bab114d0ebca65102a70bc26234185472b8','10001','2026-08',1,NULL,NULL);
INSERT INTO "billed_rows" VALUES(3,'service','SV-01-2','fcbdc276c2ae424cdc759984a5fe6875133ce0c99e4a6ac0b9d82593355ef6e5','10001','2026-08',1,NULL,NULL);
INSERT INTO "billed_rows" VALUES(4,'adjustment','1','53423fa5ea6b054b2616fe7b8eb366f49b68949fd121cc6254130904ea0dc3e4','10002','2026-08',2,NULL,NULL);
INSERT INTO "billed_rows" VALUES(5,'service','SV-02-1','6538a40c3e3da2ae338b50e6ef91dbc53505fb70971d471413c55d6b2a2df7cc','10002','2026-08',2,NULL,NULL);
INSERT INTO "billed_rows" VALUES(6,'service','SV-06-1','ee1779f34855a3683e45eb3cf5d157c7981d5c13c4d9e60050a722f75697065d','10006','2026-08',3,NULL,NULL);
INSERT INTO "billed_rows" VALUES(7,'service','SV-07-1','4102fd1daedca9dde296cec0c3aefef16909289b691ec1ca1277a2e6f6509fff','10007','2026-08',4,NULL,NULL);
INSERT INTO "billed_rows" VALUES(8,'service','SV-08-1','87805dfb8f2b808fc376a329a56d187b3375ca02ff69e958231c6a3773fac6dc','10008','2026-08',5,NULL,'2026-11-26 21:53:27.930961');
INSERT INTO "billed_rows" VALUES(9,'service','SV-08-2','ee5ae39bd8efa0fb62a4cad6d9ac7c651cc4c51e9995e29fe35155298a6f96f0','10008','2026-08',5,NULL,'2026-11-26 21:53:27.930961');
INSERT INTO "billed_rows" VALUES(10,'service','SV-10-1','4125fd120b5f5a2ba21c9b7db128482792f459c4bba41f9284b8c10159e3dcd6','10010','2026-08',6,NULL,NULL);
INSERT INTO "billed_rows" VALUES(11,'service','SV-11-1','5bd6540dc3a6949f398b7b8914071ede7a5f0ad70ca52a47e1295491f1f7a9a9','10011','2026-08',7,NULL,NULL);
INSERT INTO "billed_rows" VALUES(12,'service','SV-12-1','5e6b971dccf1cf5b65c21d2ae50a2e6c90d37842a090c8b1fd2ce176da671ed4','10012','2026-08',8,NULL,NULL);
INSERT INTO "billed_rows" VALUES(13,'service','SV-15-1','7034c4e4d476175bc2f3788458cd12c5a1399f2516eb794a983e700b27748995','10015','2026-08',9,NULL,NULL);
INSERT INTO "billed_rows" VALUES(14,'service','SV-20-1','940989d812e5828b8c9d283daa6129fc44f7a79d38134be5762305165c60d23f','10020','2026-08',10,NULL,NULL);
INSERT INTO "billed_rows" VALUES(15,'service','SV-08-1','4b07bc1ae098a9e7e50612c99863a4441158c7e77af0884b4cb687c5f80de6b9','10008','2026-08',11,8,NULL);
INSERT INTO "billed_rows" VALUES(16,'service','SV-08-2','ee5ae39bd8efa0fb62a4cad6d9ac7c651cc4c51e9995e29fe35155298a6f96f0','10008','2026-08',11,9,NULL);
INSERT INTO "billed_rows" VALUES(17,'service','SV-19-1','f2b2bb0444bfb950e966df54fc56748c63334c0d5c2097c6a309bf463bf8d7a1','10019','2026-09',12,NULL,NULL);
INSERT INTO "billed_rows" VALUES(18,'service','SV-01-3','a2660a974c6d22e4fb551d44f1923328134da3b75810c52a4350d6e418827737','10001','2026-09',13,NULL,NULL);
INSERT INTO "billed_rows" VALUES(19,'service','SV-05-2','cc6dc39fd7f946ce50609cfe4530a168a14ca5b0cbea178eeeb278d1fefbf1b7','10005','2026-09',14,NULL,NULL);
INSERT INTO "billed_rows" VALUES(20,'service','SV-06-2','fa157464fd95952e790f524d31547aa877d0ea65f326cc4c1d6e107ce7dc20e8','10006','2026-09',15,NULL,NULL);
INSERT INTO "billed_rows" VALUES(21,'service','SV-06-L','4ca0ffa68e660cf02c6f2a64c456308faaf51ce68b1a7cb7fde59ab15e6783ae','10006','2026-08',15,NULL,NULL);
INSERT INTO "billed_rows" VALUES(22,'service','SV-07-2','df9b42c46fdcf4fd9a000dd482d6eace26127ecdfbdb01454388eb1602b06e03','10007','2026-09',16,NULL,NULL);
INSERT INTO "billed_rows" VALUES(23,'service','SV-16-1','648a01d93c4effa8c2d4ed0c276dc843cdf7c4c65f2feb6c0225bf86ec7f2862','10016','2026-09',17,NULL,NULL);
INSERT INTO "billed_rows" VALUES(24,'service','SV-17-1','b17d6e96498cf7c538cc2ca9173b52145e726cb465b8e6e980dfb64f826f761c','10017','2026-09',18,NULL,NULL);
INSERT INTO "billed_rows" VALUES(25,'service','SV-18-1','28f907d76d1cfd861a38dd2740eca204171fc37a0706432e781c1a5d0f6f9f96','10018','2026-09',19,NULL,NULL);
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	customer_number TEXT NOT NULL, 
	month TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	order_number TEXT NOT NULL, 
	file_name TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	document_sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	line_count BIGINT NOT NULL, 
	currency TEXT NOT NULL, 
	net BIGINT NOT NULL, 
	vat BIGINT NOT NULL, 
	gross BIGINT NOT NULL, 
	layout TEXT NOT NULL, 
	remote_dir TEXT NOT NULL, 
	transport TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	state TEXT NOT NULL, 
	token TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	temporary_path TEXT NOT NULL, 
	leftovers JSON NOT NULL, 
	remote_path TEXT NOT NULL, 
	held_code TEXT NOT NULL, 
	held_reason TEXT NOT NULL, 
	accepted_sha256 TEXT NOT NULL, 
	released_as TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	committed_at DATETIME, 
	published_at DATETIME, 
	draft_id BIGINT, 
	draft_net BIGINT, 
	draft_gross BIGINT, 
	confirmed_at DATETIME, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT uq_deliveries_customer_number_month_revision UNIQUE (customer_number, month, revision), 
	CONSTRAINT uq_deliveries_order_number UNIQUE (order_number)
);
INSERT INTO "deliveries" VALUES(1,'10001','2026-08',1,'2026-08-10001','easybill_2026-08_10001.csv','5eb1adaa381afafd3022a1dbed9303f77871dd233742c16aba4afbde37329c44','66dd43b0d7bf5e882efec3c82e1c250449052ed381f3de20bc311eaf86982b9f',1189,3,'EUR',18988,3608,22596,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','967be84bc52aeb7b7a43d1e0','','/import/.easybill_2026-08_10001.csv.967be84bc52aeb7b7a43d1e0.tmp','[]','/import/easybill_2026-08_10001.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.171216','2026-11-26 21:52:42.283868','2026-11-26 21:52:42.254777','2026-11-26 21:52:42.283854',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(2,'10002','2026-08',1,'2026-08-10002','easybill_2026-08_10002.csv','de10ff248f916df6325fce1f589db60a1a3b078b1539293846a150bcedeeb624','3f7c1ee0e1a783e7346e101f4525fea5282bb82c3ffc3288c594ff6f87426089',759,2,'EUR',7000,1330,8330,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','2fca2e6b8659b3255c5a3ff0','','/import/.easybill_2026-08_10002.csv.2fca2e6b8659b3255c5a3ff0.tmp','[]','/import/easybill_2026-08_10002.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.325161','2026-11-26 21:52:42.432891','2026-11-26 21:52:42.421825','2026-11-26 21:52:42.432880',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(3,'10006','2026-08',1,'2026-08-10006','easybill_2026-08_10006.csv','48be522abdd35593435af2624de40fee9d7f3496b308f4059a54e0a82fe530e9','a58176f33a9ffcc548e9061e2f61bf37ba1bc2f4a453c3de5dfdef6d3deefc8a',598,1,'EUR',8000,560,8560,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','71859edac720c5358cfcffa1','','/import/.easybill_2026-08_10006.csv.71859edac720c5358cfcffa1.tmp','[]','/import/easybill_2026-08_10006.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.476422','2026-11-26 21:52:42.586690','2026-11-26 21:52:42.561918','2026-11-26 21:52:42.586678',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(4,'10007','2026-08',1,'2026-08-10007','easybill_2026-08_10007.csv','819e29a94221f8b35b3868c95a829f768d30cffab94927d3df5129c427eaad07','2a42b360f00edf506485697ce54df46aa1f50e43b46d04361e3369e35ce40bda',602,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','88c1c604c5e2bac039a42fd2','','/import/.easybill_2026-08_10007.csv.88c1c604c5e2bac039a42fd2.tmp','[]','/import/easybill_2026-08_10007.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.605211','2026-11-26 21:52:42.721389','2026-11-26 21:52:42.696657','2026-11-26 21:52:42.721374',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(5,'10008','2026-08',1,'2026-08-10008','easybill_2026-08_10008.csv','58ee746c238abd08e8a95c3fe3808ccb72a878aac0a7a927f8d9f754a201b7d2','ecaeddd3c1737ab5a79b839c1c2c47ea7c9d3391739d07f0e90353d40a5a17a8',794,2,'EUR',12000,2280,14280,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','17886ef6365214f380d826ec','','/import/.easybill_2026-08_10008.csv.17886ef6365214f380d826ec.tmp','[]','/import/easybill_2026-08_10008.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.743498','2026-11-26 21:52:42.846863','2026-11-26 21:52:42.832052','2026-11-26 21:52:42.846852',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(6,'10010','2026-08',1,'2026-08-10010','easybill_2026-08_10010.csv','eacdb1354bfc1b4d2ead5179e22e642faca5bd393d926b2db4e5ef9baf1b2898','6fc3092de5212fabb584d5ac2d340bc9e8ab2f0bd6a52802e89e766cb01de046',600,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','HELD','c99c6d08b542fe781ec5e660','','/import/.easybill_2026-08_10010.csv.c99c6d08b542fe781ec5e660.tmp','[]','/import/easybill_2026-08_10010.csv','NAME_COLLISION','/import/easybill_2026-08_10010.csv is there already, and not from this ledger','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.872363','2026-11-26 21:52:42.905243',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(7,'10011','2026-08',1,'2026-08-10011','easybill_2026-08_10011.csv','7eb708c65865d9a4d7cc58c6036024b2e0121bd5c4061510ee946795d4d9523b','2197d6987cc39cfbcc48ec589cd72ab971595779d20a76c18b9cfdcfc963e99c',612,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','fc61c3ea6656de077fa53e0a','','/import/.easybill_2026-08_10011.csv.fc61c3ea6656de077fa53e0a.tmp','[]','/import/easybill_2026-08_10011.csv','','','','delivered','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.918231','2026-11-26 21:52:49.710434','2026-11-26 21:52:49.724327','2026-11-26 21:52:49.724327',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(8,'10012','2026-08',1,'2026-08-10012','easybill_2026-08_10012.csv','e1c1a1d974267ea61055d6871b8cbf13a6883bb33fac5412e369572a641ea755','62ba801ac79f23f3e6c878a4016d76e83de74f8bd358bd3c809e17f481047d43',597,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','1e6166047e3cf7c8297fd3b5','','/import/.easybill_2026-08_10012.csv.1e6166047e3cf7c8297fd3b5.tmp','[]','/import/easybill_2026-08_10012.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.954314','2026-11-26 21:52:42.982965','2026-11-26 21:52:42.980378','2026-11-26 21:52:42.982960',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(9,'10015','2026-08',1,'2026-08-10015','easybill_2026-08_10015.csv','3ec6ef9e551068bb5360b2609f145c56459f3bb83ee1cc5706e8c36de5a80b3f','b1ae9e6fe21e9a706b60d38f349508bc647a821ebcaf60bace86ef550c83af06',611,1,'CHF',8000,0,8000,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','CONSUMED','51f3207e68ae6cd2c48c9bd4','','/import/.easybill_2026-08_10015.csv.51f3207e68ae6cd2c48c9bd4.tmp','[]','/import/easybill_2026-08_10015.csv','','','','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:43.011932','2026-11-26 21:52:43.051502','2026-11-26 21:52:43.025764','2026-11-26 21:52:43.051494',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(10,'10020','2026-08',1,'2026-08-10020','easybill_2026-08_10020.csv','c9e151b30c3934f6a1050b342f3fd5cb22ac94331899e9dacf95340d40e576a6','1c585a695a7350eb11a97a4bb2255eca9b76d056aa067ec373711c65450ab0c4',610,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','1f7ec3727ecfe547da24a5c7','','/import/.easybill_2026-08_10020.csv.1f7ec3727ecfe547da24a5c7.tmp','[]','/import/easybill_2026-08_10020.csv','','','196dd1b1d76ba157845b7a1f91426d864088d3c6853b41a9892adb9c084cf14e','','','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:43.068956','2026-11-26 21:53:10.428867','2026-11-26 21:52:43.135448','2026-11-26 21:52:43.143806',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(11,'10008','2026-08',2,'2026-08-10008-r2','easybill_2026-08_10008_r2.csv','c097033a73cf7fd781fd919c38a0be6e2d68c195281cf5519765d831b476ca87','6991c4a759a81054cbf8e61398ce2cafb56496be1c539a6afbda9218d8161ee3',801,2,'EUR',13000,2470,15470,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','3654c4cd8ef5f14a62fb0d56','','/import/.easybill_2026-08_10008_r2.csv.3654c4cd8ef5f14a62fb0d56.tmp','[]','/import/easybill_2026-08_10008_r2.csv','','','','','price was wrong','Kim','5ae75e6b-79e7-49fd-a453-5b54353b4c50','2026-11-26 21:53:27.930961','2026-11-26 21:53:28.031191','2026-11-26 21:53:28.005444','2026-11-26 21:53:28.031180',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(12,'10019','2026-09',1,'2026-09-10019','easybill_2026-09_10019.csv','661d1a888ad9448220bf23d85340d888062d7ba3ffda80fb33631ca5df77f8bd','0503493b0fb49a033c15eb94ebbbd6d52ba758c104a642742f105ab56f9e7d75',610,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PLANNED','6cac042157310942a87878c8','','/import/.easybill_2026-09_10019.csv.b90f224cf25933854459277a.tmp','[]','/import/easybill_2026-09_10019.csv','','','','send','','','95175813-6e2a-4897-9c6d-199ad586fcff','2026-11-26 21:55:24.186761','2026-11-26 21:55:33.646363',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(13,'10001','2026-09',1,'2026-09-10001','easybill_2026-09_10001.csv','526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','4b5ea03830063ca59ef2d5e7a2e5f230cf3443043d1f94bc29fd3dfdc2762952',646,1,'EUR',30000,5700,35700,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','d0f2d4e1b5ea00ca8bcb6adc','','/import/.easybill_2026-09_10001.csv.d0f2d4e1b5ea00ca8bcb6adc.tmp','[]','/import/easybill_2026-09_10001.csv','','','','','','','aeab7061-7746-4a7d-9632-4f620fa7b049','2026-11-26 21:55:50.832639','2026-11-26 21:55:50.933276','2026-11-26 21:55:50.912128','2026-11-26 21:55:50.933258',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(14,'10005','2026-09',1,'2026-09-10005','easybill_2026-09_10005.csv','26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','7ca3775a547dbb6976b79ce0bcd8b12f24f8b85a6359e6f132386e4b74351a02',599,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','5667e6de9c349dcd204ef4be','','/import/.easybill_2026-09_10005.csv.5667e6de9c349dcd204ef4be.tmp','[]','/import/easybill_2026-09_10005.csv','','','','','','','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.041261','2026-11-26 21:55:53.131910','2026-11-26 21:55:53.100054','2026-11-26 21:55:53.131896',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(15,'10006','2026-09',1,'2026-09-10006','easybill_2026-09_10006.csv','3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','cfa2d8bcc7c5fe88fc12145a18eb5dbcf9f96b168843743675aa98e09a4d6be4',809,2,'EUR',15000,1050,16050,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','a552cd6b002f573307b416a8','','/import/.easybill_2026-09_10006.csv.a552cd6b002f573307b416a8.tmp','[]','/import/easybill_2026-09_10006.csv','','','','','','','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.184218','2026-11-26 21:55:53.291842','2026-11-26 21:55:53.268026','2026-11-26 21:55:53.291829',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(16,'10007','2026-09',1,'2026-09-10007','easybill_2026-09_10007.csv','4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','bc73f2d197aaf5b79f3484ed2af6821a3d5f5eba82614cb8db18ba5e16eaa0f7',602,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','PUBLISHED','1c922e71baaa5c2d06134610','','/import/.easybill_2026-09_10007.csv.1c922e71baaa5c2d06134610.tmp','[]','/import/easybill_2026-09_10007.csv','','','','','','','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.336441','2026-11-26 21:55:53.443869','2026-11-26 21:55:53.404729','2026-11-26 21:55:53.443859',NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(17,'10016','2026-09',1,'2026-09-10016','easybill_2026-09_10016.csv','de75dc50b95648fcde9a47dd13e4888b864a8867944c5a04d9d9eeaaa31df7db','d1d0225ef350ed63142b45d098c552e151e055f46c7ef215669d701493fa3d78',612,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','UPLOADING','29dad2fd536d6706816dcbef','a-machine-of-then pid:[4026531836] 30588 147688','/import/.easybill_2026-09_10016.csv.29dad2fd536d6706816dcbef.tmp','[]','/import/easybill_2026-09_10016.csv','','','','','','','d764064b-8aa9-41a3-9d5a-b02759fa7831','2026-11-26 21:56:15.608033','2026-11-26 21:56:15.681514',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(18,'10017','2026-09',1,'2026-09-10017','easybill_2026-09_10017.csv','5e0eb6bc4638602e7dc3a109bd6209f63a96fde1b30abd7dd56568d428e3fe1a','f23925f4c6a7b277b60dc148bbf87f1dfd6a929804413882d692ef5f93e944ed',616,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','COMMITTING','7beaeca684abe2deb294569a','a-machine-of-then pid:[4026531836] 30672 149475','/import/.easybill_2026-09_10017.csv.7beaeca684abe2deb294569a.tmp','[]','/import/easybill_2026-09_10017.csv','','','','','','','babf1e2a-80d4-420f-99b8-20e98bab2dd5','2026-11-26 21:56:33.419218','2026-11-26 21:56:33.489615','2026-11-26 21:56:33.489605',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(19,'10018','2026-09',1,'2026-09-10018','easybill_2026-09_10018.csv','250dfef7f19022aaf0d8eae6f1cd03c00477a260b9dc273924ce175238a45f24','882eee53b7164e98556f945d2172910d091c367b737a61d6c6d8528a4ee44776',617,1,'EUR',8000,1520,9520,'easybill-custom-csv','/import','folder','folder:/tmp/billing-home-v0_1/inbox','COMMITTING','cf917bfc2c53e90d132e129b','a-machine-of-then pid:[4026531836] 30846 151253','/import/.easybill_2026-09_10018.csv.cf917bfc2c53e90d132e129b.tmp','[]','/import/easybill_2026-09_10018.csv','','','','','','','d2c7f24c-7eba-4855-82b0-8f16bd6793d7','2026-11-26 21:56:52.012393','2026-11-26 21:56:52.100040','2026-11-26 21:56:52.100030',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	month TEXT NOT NULL, 
	customer_number TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	order_number TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	action TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id)
);
INSERT INTO "events" VALUES(1,'2026-11-26 21:51:23.949029','2026-08','10005',0,'','decision','omit','success','Kim: billed by hand (customer 10005)','');
INSERT INTO "events" VALUES(2,'2026-11-26 21:51:27.269929','always','',0,'','decision','omit','success','Kim: warranty (service SV-02-2)','');
INSERT INTO "events" VALUES(3,'2026-11-26 21:51:31.078336','2026-08','10008',0,'','decision','omit','success','Kim: disputed (customer 10008)','');
INSERT INTO "events" VALUES(4,'2026-11-26 21:51:35.282050','2026-08','10008',0,'','decision','omit remove','success','Robin: settled (customer 10008)','');
INSERT INTO "events" VALUES(5,'2026-11-26 21:51:38.288778','2026-08','10002',0,'','decision','adjust add','success','Kim: loyal customer (adjustment 1: Discount, 1 at -5.00, VAT 19 %)','');
INSERT INTO "events" VALUES(6,'2026-11-26 21:51:43.040782','2026-08','10002',0,'','decision','adjust edit','success','Robin: more of it (adjustment 1: Discount, 1 at -10.00, VAT 19 %)','');
INSERT INTO "events" VALUES(7,'2026-11-26 21:51:47.177466','2026-08','10002',0,'','decision','adjust add','success','Kim: typed (adjustment 2: Mistake, 2 at 3.00, VAT 19 %)','');
INSERT INTO "events" VALUES(8,'2026-11-26 21:51:52.501528','2026-08','10002',0,'','decision','adjust delete','success','Kim: typed wrongly (adjustment 2: Mistake, 2 at 3.00, VAT 19 %)','');
INSERT INTO "events" VALUES(9,'2026-11-26 21:52:17.620259','2026-08','10012',1,'','decision','reconcile','success','Kim: backup of Monday (saw /import/easybill_2026-08_10012.csv, sha256 e1c1a1d974267ea61055d6871b8cbf13a6883bb33fac5412e369572a641ea755)','');
INSERT INTO "events" VALUES(10,'2026-11-26 21:52:17.629146','2026-08','10015',1,'','decision','reconcile','success','Kim: backup of Monday (saw /archive/easybill_2026-08_10015.csv, sha256 3ec6ef9e551068bb5360b2609f145c56459f3bb83ee1cc5706e8c36de5a80b3f)','');
INSERT INTO "events" VALUES(11,'2026-11-26 21:52:41.632201','2026-08','10001',0,'2026-08-10001','export','rendered','success','easybill_2026-08_10001.csv, lines: 3, bytes: 1189, sha256 5eb1adaa381afafd3022a1dbed9303f77871dd233742c16aba4afbde37329c44','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(12,'2026-11-26 21:52:41.632201','2026-08','10002',0,'2026-08-10002','export','rendered','success','easybill_2026-08_10002.csv, lines: 2, bytes: 759, sha256 de10ff248f916df6325fce1f589db60a1a3b078b1539293846a150bcedeeb624','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(13,'2026-11-26 21:52:41.632201','2026-08','10003',0,'','export','blocked','failure','PRICE_MISSING: Service SV-03-1 has no price: enter one in the OMS, or set missing_price = "zero" in the rules','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(14,'2026-11-26 21:52:41.632201','2026-08','10004',0,'','export','nothing_to_bill','success','','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(15,'2026-11-26 21:52:41.632201','2026-08','10005',0,'','export','omitted','success','billed by hand (Kim)','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(16,'2026-11-26 21:52:41.632201','2026-08','10006',0,'2026-08-10006','export','rendered','success','easybill_2026-08_10006.csv, lines: 1, bytes: 598, sha256 48be522abdd35593435af2624de40fee9d7f3496b308f4059a54e0a82fe530e9','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(17,'2026-11-26 21:52:41.632201','2026-08','10007',0,'2026-08-10007','export','rendered','success','easybill_2026-08_10007.csv, lines: 1, bytes: 602, sha256 819e29a94221f8b35b3868c95a829f768d30cffab94927d3df5129c427eaad07','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(18,'2026-11-26 21:52:41.632201','2026-08','10008',0,'2026-08-10008','export','rendered','success','easybill_2026-08_10008.csv, lines: 2, bytes: 794, sha256 58ee746c238abd08e8a95c3fe3808ccb72a878aac0a7a927f8d9f754a201b7d2','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(19,'2026-11-26 21:52:41.632201','2026-08','10010',0,'2026-08-10010','export','rendered','success','easybill_2026-08_10010.csv, lines: 1, bytes: 600, sha256 eacdb1354bfc1b4d2ead5179e22e642faca5bd393d926b2db4e5ef9baf1b2898','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(20,'2026-11-26 21:52:41.632201','2026-08','10011',0,'2026-08-10011','export','rendered','success','easybill_2026-08_10011.csv, lines: 1, bytes: 612, sha256 7eb708c65865d9a4d7cc58c6036024b2e0121bd5c4061510ee946795d4d9523b','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(21,'2026-11-26 21:52:41.632201','2026-08','10012',0,'2026-08-10012','export','rendered','success','easybill_2026-08_10012.csv, lines: 1, bytes: 597, sha256 e1c1a1d974267ea61055d6871b8cbf13a6883bb33fac5412e369572a641ea755','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(22,'2026-11-26 21:52:41.632201','2026-08','10015',0,'2026-08-10015','export','rendered','success','easybill_2026-08_10015.csv, lines: 1, bytes: 611, sha256 3ec6ef9e551068bb5360b2609f145c56459f3bb83ee1cc5706e8c36de5a80b3f','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(23,'2026-11-26 21:52:41.632201','2026-08','10020',0,'2026-08-10020','export','rendered','success','easybill_2026-08_10020.csv, lines: 1, bytes: 610, sha256 c9e151b30c3934f6a1050b342f3fd5cb22ac94331899e9dacf95340d40e576a6','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(24,'2026-11-26 21:52:42.254787','2026-08','10001',1,'2026-08-10001','exchange','upload','success','/import/.easybill_2026-08_10001.csv.967be84bc52aeb7b7a43d1e0.tmp: 1189 bytes, read back, sha256 5eb1adaa381afafd3022a1dbed9303f77871dd233742c16aba4afbde37329c44','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(25,'2026-11-26 21:52:42.283868','2026-08','10001',1,'2026-08-10001','exchange','publish','success','/import/easybill_2026-08_10001.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(26,'2026-11-26 21:52:42.421833','2026-08','10002',1,'2026-08-10002','exchange','upload','success','/import/.easybill_2026-08_10002.csv.2fca2e6b8659b3255c5a3ff0.tmp: 759 bytes, read back, sha256 de10ff248f916df6325fce1f589db60a1a3b078b1539293846a150bcedeeb624','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(27,'2026-11-26 21:52:42.432891','2026-08','10002',1,'2026-08-10002','exchange','publish','success','/import/easybill_2026-08_10002.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(28,'2026-11-26 21:52:42.561932','2026-08','10006',1,'2026-08-10006','exchange','upload','success','/import/.easybill_2026-08_10006.csv.71859edac720c5358cfcffa1.tmp: 598 bytes, read back, sha256 48be522abdd35593435af2624de40fee9d7f3496b308f4059a54e0a82fe530e9','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(29,'2026-11-26 21:52:42.586690','2026-08','10006',1,'2026-08-10006','exchange','publish','success','/import/easybill_2026-08_10006.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(30,'2026-11-26 21:52:42.696667','2026-08','10007',1,'2026-08-10007','exchange','upload','success','/import/.easybill_2026-08_10007.csv.88c1c604c5e2bac039a42fd2.tmp: 602 bytes, read back, sha256 819e29a94221f8b35b3868c95a829f768d30cffab94927d3df5129c427eaad07','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(31,'2026-11-26 21:52:42.721389','2026-08','10007',1,'2026-08-10007','exchange','publish','success','/import/easybill_2026-08_10007.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(32,'2026-11-26 21:52:42.832060','2026-08','10008',1,'2026-08-10008','exchange','upload','success','/import/.easybill_2026-08_10008.csv.17886ef6365214f380d826ec.tmp: 794 bytes, read back, sha256 58ee746c238abd08e8a95c3fe3808ccb72a878aac0a7a927f8d9f754a201b7d2','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(33,'2026-11-26 21:52:42.846863','2026-08','10008',1,'2026-08-10008','exchange','publish','success','/import/easybill_2026-08_10008.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(34,'2026-11-26 21:52:42.905243','2026-08','10010',1,'2026-08-10010','exchange','hold','failure','/import/easybill_2026-08_10010.csv is there already, and not from this ledger','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(35,'2026-11-26 21:52:42.937342','2026-08','10011',1,'2026-08-10011','exchange','hold','failure','/import/easybill_2026-08_10011.csv is there already, and not from this ledger','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(36,'2026-11-26 21:52:42.980385','2026-08','10012',1,'2026-08-10012','exchange','recognise','success','reconcile saw it at /import/easybill_2026-08_10012.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(37,'2026-11-26 21:52:42.982965','2026-08','10012',1,'2026-08-10012','exchange','recognise','success','nothing was sent again','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(38,'2026-11-26 21:52:43.025770','2026-08','10015',1,'2026-08-10015','exchange','recognise','success','reconcile saw it at /archive/easybill_2026-08_10015.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(39,'2026-11-26 21:52:43.051502','2026-08','10015',1,'2026-08-10015','exchange','recognise','success','nothing was sent again','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(40,'2026-11-26 21:52:43.135456','2026-08','10020',1,'2026-08-10020','exchange','upload','success','/import/.easybill_2026-08_10020.csv.1f7ec3727ecfe547da24a5c7.tmp: 610 bytes, read back, sha256 c9e151b30c3934f6a1050b342f3fd5cb22ac94331899e9dacf95340d40e576a6','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(41,'2026-11-26 21:52:43.143814','2026-08','10020',1,'2026-08-10020','exchange','publish','success','/import/easybill_2026-08_10020.csv','12668846-af72-46ba-bc3d-ac416c829998');
INSERT INTO "events" VALUES(42,'2026-11-26 21:52:49.710434','2026-08','10011',1,'2026-08-10011','decision','release as delivered','success','Kim: is in EASY Bill (was held: /import/easybill_2026-08_10011.csv is there already, and not from this ledger)','');
INSERT INTO "events" VALUES(43,'2026-11-26 21:53:05.871084','2026-08','10020',0,'2026-08-10020','export','rendered','success','easybill_2026-08_10020.csv, lines: 1, bytes: 611, sha256 196dd1b1d76ba157845b7a1f91426d864088d3c6853b41a9892adb9c084cf14e','358d286e-25d1-4ce3-bebc-2d63c5efae32');
INSERT INTO "events" VALUES(44,'2026-11-26 21:53:05.939627','2026-08','10020',1,'2026-08-10020','decision','hold','failure','easybill_2026-08_10020.csv was delivered with other content: net 80.00 → 85.00 EUR, gross 95.20 → 101.15 EUR; line 1 (Repair): unit_price_net 80.00 → 85.00, net 80.00 → 85.00; `billing-pipeline correct 2026-08 --customer 10020 --reason TEXT --by NAME` replaces it, `billing-pipeline release 2026-08-10020 --as delivered --reason TEXT --by NAME` leaves it as it is','358d286e-25d1-4ce3-bebc-2d63c5efae32');
INSERT INTO "events" VALUES(45,'2026-11-26 21:53:10.428867','2026-08','10020',1,'2026-08-10020','decision','release as delivered','success','Kim: not worth it','');
INSERT INTO "events" VALUES(46,'2026-11-26 21:53:27.871863','2026-08','10008',0,'2026-08-10008-r2','export','rendered','success','easybill_2026-08_10008_r2.csv, lines: 2, bytes: 801, sha256 c097033a73cf7fd781fd919c38a0be6e2d68c195281cf5519765d831b476ca87','5ae75e6b-79e7-49fd-a453-5b54353b4c50');
INSERT INTO "events" VALUES(47,'2026-11-26 21:53:27.930961','2026-08','10008',2,'2026-08-10008-r2','decision','correct','success','Kim: price was wrong (in place of 2026-08-10008)','5ae75e6b-79e7-49fd-a453-5b54353b4c50');
INSERT INTO "events" VALUES(48,'2026-11-26 21:53:28.005453','2026-08','10008',2,'2026-08-10008-r2','exchange','upload','success','/import/.easybill_2026-08_10008_r2.csv.3654c4cd8ef5f14a62fb0d56.tmp: 801 bytes, read back, sha256 c097033a73cf7fd781fd919c38a0be6e2d68c195281cf5519765d831b476ca87','5ae75e6b-79e7-49fd-a453-5b54353b4c50');
INSERT INTO "events" VALUES(49,'2026-11-26 21:53:28.031191','2026-08','10008',2,'2026-08-10008-r2','exchange','publish','success','/import/easybill_2026-08_10008_r2.csv','5ae75e6b-79e7-49fd-a453-5b54353b4c50');
INSERT INTO "events" VALUES(50,'2026-11-26 21:53:36.279171','2026-09','10009',0,'','decision','adjust add','success','Kim: forgotten (adjustment 3: Forgotten item, 3 at 2.50, VAT 19 %)','');
INSERT INTO "events" VALUES(51,'2026-11-26 21:53:56.145206','2026-09','10001',0,'2026-09-10001','export','rendered','success','easybill_2026-09_10001.csv, lines: 1, bytes: 646, sha256 526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(52,'2026-11-26 21:53:56.145206','2026-09','10005',0,'2026-09-10005','export','rendered','success','easybill_2026-09_10005.csv, lines: 1, bytes: 599, sha256 26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(53,'2026-11-26 21:53:56.145206','2026-09','10006',0,'2026-09-10006','export','rendered','success','easybill_2026-09_10006.csv, lines: 2, bytes: 809, sha256 3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(54,'2026-11-26 21:53:56.145206','2026-09','10007',0,'2026-09-10007','export','rendered','success','easybill_2026-09_10007.csv, lines: 1, bytes: 602, sha256 4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(55,'2026-11-26 21:53:56.145206','2026-09','10009',0,'2026-09-10009','export','rendered','success','easybill_2026-09_10009.csv, lines: 2, bytes: 807, sha256 2c49ffbc5cb641432acf9fc24ccdc26210ee92c35269e66c16bd2189a129255b','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(56,'2026-11-26 21:53:56.145206','2026-09','10013',0,'2026-09-10013','export','rendered','success','easybill_2026-09_10013.csv, lines: 1, bytes: 607, sha256 9bc53167ae0b654e7421e696f66824b644f3be1a22cbb1147a9eb5c5370c082d','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(57,'2026-11-26 21:53:56.145206','2026-09','10014',0,'2026-09-10014','export','rendered','success','easybill_2026-09_10014.csv, lines: 1, bytes: 604, sha256 05b8d3c772f6b378ab68b1b9f4b50823f4b0cfd5a18a74229f870fd7de030413','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(58,'2026-11-26 21:53:56.145206','2026-09','10016',0,'2026-09-10016','export','rendered','success','easybill_2026-09_10016.csv, lines: 1, bytes: 612, sha256 de75dc50b95648fcde9a47dd13e4888b864a8867944c5a04d9d9eeaaa31df7db','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(59,'2026-11-26 21:53:56.145206','2026-09','10017',0,'2026-09-10017','export','rendered','success','easybill_2026-09_10017.csv, lines: 1, bytes: 616, sha256 5e0eb6bc4638602e7dc3a109bd6209f63a96fde1b30abd7dd56568d428e3fe1a','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(60,'2026-11-26 21:53:56.145206','2026-09','10018',0,'2026-09-10018','export','rendered','success','easybill_2026-09_10018.csv, lines: 1, bytes: 617, sha256 250dfef7f19022aaf0d8eae6f1cd03c00477a260b9dc273924ce175238a45f24','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(61,'2026-11-26 21:53:56.145206','2026-09','10019',0,'2026-09-10019','export','rendered','success','easybill_2026-09_10019.csv, lines: 1, bytes: 610, sha256 661d1a888ad9448220bf23d85340d888062d7ba3ffda80fb33631ca5df77f8bd','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206');
INSERT INTO "events" VALUES(62,'2026-11-26 21:54:49.562951','2026-09','10001',0,'2026-09-10001','export','rendered','success','easybill_2026-09_10001.csv, lines: 1, bytes: 646, sha256 526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','583b7b8b-2c52-429f-b554-47e999ecb06f');
INSERT INTO "events" VALUES(63,'2026-11-26 21:54:49.659198','2026-09','10001',0,'2026-09-10001','exchange','deliver','failure','LEDGER_BEHIND: folder:/tmp/billing-home-v0_1/inbox has files that the ledger does not know (/import/easybill_2026-09_10013.csv, /import/easybill_2026-09_10014.csv); was it restored from a backup? Nothing is sent until `billing-pipeline reconcile --reason TEXT --by NAME` has looked at them','583b7b8b-2c52-429f-b554-47e999ecb06f');
INSERT INTO "events" VALUES(64,'2026-11-26 21:54:59.786815','2026-09','10013',1,'','decision','reconcile','success','Robin: backup of Tuesday (saw /import/easybill_2026-09_10013.csv, sha256 9bc53167ae0b654e7421e696f66824b644f3be1a22cbb1147a9eb5c5370c082d)','');
INSERT INTO "events" VALUES(65,'2026-11-26 21:54:59.805567','2026-09','10014',1,'','decision','reconcile','success','Robin: backup of Tuesday (saw /import/easybill_2026-09_10014.csv, sha256 8fdde885777c30d2bd6f777f2d0d2b2048a4974fb88b608b1fc3b3decb1a7ada)','');
INSERT INTO "events" VALUES(66,'2026-11-26 21:55:23.999659','2026-09','10019',0,'2026-09-10019','export','rendered','success','easybill_2026-09_10019.csv, lines: 1, bytes: 610, sha256 661d1a888ad9448220bf23d85340d888062d7ba3ffda80fb33631ca5df77f8bd','95175813-6e2a-4897-9c6d-199ad586fcff');
INSERT INTO "events" VALUES(67,'2026-11-26 21:55:24.261655','2026-09','10019',1,'2026-09-10019','exchange','hold','failure','/import/easybill_2026-09_10019.csv is there already, and not from this ledger','95175813-6e2a-4897-9c6d-199ad586fcff');
INSERT INTO "events" VALUES(68,'2026-11-26 21:55:33.646363','2026-09','10019',1,'2026-09-10019','decision','release as send','success','Kim: removed it (was held: /import/easybill_2026-09_10019.csv is there already, and not from this ledger)','');
INSERT INTO "events" VALUES(69,'2026-11-26 21:55:50.712638','2026-09','10001',0,'2026-09-10001','export','rendered','success','easybill_2026-09_10001.csv, lines: 1, bytes: 646, sha256 526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','aeab7061-7746-4a7d-9632-4f620fa7b049');
INSERT INTO "events" VALUES(70,'2026-11-26 21:55:50.912140','2026-09','10001',1,'2026-09-10001','exchange','upload','success','/import/.easybill_2026-09_10001.csv.d0f2d4e1b5ea00ca8bcb6adc.tmp: 646 bytes, read back, sha256 526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','aeab7061-7746-4a7d-9632-4f620fa7b049');
INSERT INTO "events" VALUES(71,'2026-11-26 21:55:50.933276','2026-09','10001',1,'2026-09-10001','exchange','publish','success','/import/easybill_2026-09_10001.csv','aeab7061-7746-4a7d-9632-4f620fa7b049');
INSERT INTO "events" VALUES(72,'2026-11-26 21:55:52.850734','2026-09','10005',0,'2026-09-10005','export','rendered','success','easybill_2026-09_10005.csv, lines: 1, bytes: 599, sha256 26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(73,'2026-11-26 21:55:52.850734','2026-09','10006',0,'2026-09-10006','export','rendered','success','easybill_2026-09_10006.csv, lines: 2, bytes: 809, sha256 3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(74,'2026-11-26 21:55:52.850734','2026-09','10007',0,'2026-09-10007','export','rendered','success','easybill_2026-09_10007.csv, lines: 1, bytes: 602, sha256 4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(75,'2026-11-26 21:55:53.100062','2026-09','10005',1,'2026-09-10005','exchange','upload','success','/import/.easybill_2026-09_10005.csv.5667e6de9c349dcd204ef4be.tmp: 599 bytes, read back, sha256 26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(76,'2026-11-26 21:55:53.131910','2026-09','10005',1,'2026-09-10005','exchange','publish','success','/import/easybill_2026-09_10005.csv','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(77,'2026-11-26 21:55:53.268038','2026-09','10006',1,'2026-09-10006','exchange','upload','success','/import/.easybill_2026-09_10006.csv.a552cd6b002f573307b416a8.tmp: 809 bytes, read back, sha256 3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(78,'2026-11-26 21:55:53.291842','2026-09','10006',1,'2026-09-10006','exchange','publish','success','/import/easybill_2026-09_10006.csv','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(79,'2026-11-26 21:55:53.404740','2026-09','10007',1,'2026-09-10007','exchange','upload','success','/import/.easybill_2026-09_10007.csv.1c922e71baaa5c2d06134610.tmp: 602 bytes, read back, sha256 4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(80,'2026-11-26 21:55:53.443869','2026-09','10007',1,'2026-09-10007','exchange','publish','success','/import/easybill_2026-09_10007.csv','93865956-ae20-4a6a-b622-9a531448f28d');
INSERT INTO "events" VALUES(81,'2026-11-26 21:56:15.427320','2026-09','10016',0,'2026-09-10016','export','rendered','success','easybill_2026-09_10016.csv, lines: 1, bytes: 612, sha256 de75dc50b95648fcde9a47dd13e4888b864a8867944c5a04d9d9eeaaa31df7db','d764064b-8aa9-41a3-9d5a-b02759fa7831');
INSERT INTO "events" VALUES(82,'2026-11-26 21:56:33.340179','2026-09','10017',0,'2026-09-10017','export','rendered','success','easybill_2026-09_10017.csv, lines: 1, bytes: 616, sha256 5e0eb6bc4638602e7dc3a109bd6209f63a96fde1b30abd7dd56568d428e3fe1a','babf1e2a-80d4-420f-99b8-20e98bab2dd5');
INSERT INTO "events" VALUES(83,'2026-11-26 21:56:33.489615','2026-09','10017',1,'2026-09-10017','exchange','upload','success','/import/.easybill_2026-09_10017.csv.7beaeca684abe2deb294569a.tmp: 616 bytes, read back, sha256 5e0eb6bc4638602e7dc3a109bd6209f63a96fde1b30abd7dd56568d428e3fe1a','babf1e2a-80d4-420f-99b8-20e98bab2dd5');
INSERT INTO "events" VALUES(84,'2026-11-26 21:56:51.886416','2026-09','10018',0,'2026-09-10018','export','rendered','success','easybill_2026-09_10018.csv, lines: 1, bytes: 617, sha256 250dfef7f19022aaf0d8eae6f1cd03c00477a260b9dc273924ce175238a45f24','d2c7f24c-7eba-4855-82b0-8f16bd6793d7');
INSERT INTO "events" VALUES(85,'2026-11-26 21:56:52.100040','2026-09','10018',1,'2026-09-10018','exchange','upload','success','/import/.easybill_2026-09_10018.csv.cf917bfc2c53e90d132e129b.tmp: 617 bytes, read back, sha256 250dfef7f19022aaf0d8eae6f1cd03c00477a260b9dc273924ce175238a45f24','d2c7f24c-7eba-4855-82b0-8f16bd6793d7');
CREATE TABLE finished_months (
	month TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	finished_at DATETIME NOT NULL, 
	CONSTRAINT pk_finished_months PRIMARY KEY (month)
);
INSERT INTO "finished_months" VALUES('2026-08','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:43.160545');
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0001');
CREATE TABLE month_customers (
	month TEXT NOT NULL, 
	customer_number TEXT NOT NULL, 
	export_outcome TEXT NOT NULL, 
	order_number TEXT NOT NULL, 
	file_name TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	document_sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	line_count BIGINT NOT NULL, 
	currency TEXT NOT NULL, 
	net BIGINT NOT NULL, 
	vat BIGINT NOT NULL, 
	gross BIGINT NOT NULL, 
	layout TEXT NOT NULL, 
	problems JSON NOT NULL, 
	late_rows BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	export_run_id TEXT NOT NULL, 
	exported_at DATETIME NOT NULL, 
	delivery_outcome TEXT, 
	delivery_problems JSON NOT NULL, 
	delivery_sha256 TEXT NOT NULL, 
	delivery_run_id TEXT NOT NULL, 
	delivered_at DATETIME, 
	closed_at DATETIME, 
	CONSTRAINT pk_month_customers PRIMARY KEY (month, customer_number)
);
INSERT INTO "month_customers" VALUES('2026-08','10001','rendered','2026-08-10001','easybill_2026-08_10001.csv','5eb1adaa381afafd3022a1dbed9303f77871dd233742c16aba4afbde37329c44','66dd43b0d7bf5e882efec3c82e1c250449052ed381f3de20bc311eaf86982b9f',1189,3,'EUR',18988,3608,22596,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','delivered','[]','5eb1adaa381afafd3022a1dbed9303f77871dd233742c16aba4afbde37329c44','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.305566',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10002','rendered','2026-08-10002','easybill_2026-08_10002.csv','de10ff248f916df6325fce1f589db60a1a3b078b1539293846a150bcedeeb624','3f7c1ee0e1a783e7346e101f4525fea5282bb82c3ffc3288c594ff6f87426089',759,2,'EUR',7000,1330,8330,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','delivered','[]','de10ff248f916df6325fce1f589db60a1a3b078b1539293846a150bcedeeb624','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.459238',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10003','blocked','','','','',0,0,'',0,0,0,'','[{"code": "PRICE_MISSING", "customer_number": "10003", "source_id": "SV-03-1", "field": "unit_price_net", "value": "", "message": "Service SV-03-1 has no price: enter one in the OMS, or set missing_price = \"zero\" in the rules"}]',0,'','2f546958-eee3-4082-99c1-6cd9abf44e30','2026-11-26 21:53:26.121730','blocked','[{"code": "PRICE_MISSING", "customer_number": "10003", "source_id": "SV-03-1", "field": "unit_price_net", "value": "", "message": "Service SV-03-1 has no price: enter one in the OMS, or set missing_price = \"zero\" in the rules"}]','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.085354',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10004','nothing_to_bill','','','','',0,0,'',0,0,0,'','[]',0,'','2f546958-eee3-4082-99c1-6cd9abf44e30','2026-11-26 21:53:26.121730','nothing_to_bill','[]','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.085354','2026-11-26 21:52:42.085354');
INSERT INTO "month_customers" VALUES('2026-08','10005','omitted','','','','',0,0,'',0,0,0,'','[]',0,'billed by hand (Kim)','2f546958-eee3-4082-99c1-6cd9abf44e30','2026-11-26 21:53:26.121730','omitted','[]','','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.085354',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10006','rendered','2026-08-10006','easybill_2026-08_10006.csv','48be522abdd35593435af2624de40fee9d7f3496b308f4059a54e0a82fe530e9','a58176f33a9ffcc548e9061e2f61bf37ba1bc2f4a453c3de5dfdef6d3deefc8a',598,1,'EUR',8000,560,8560,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','delivered','[]','48be522abdd35593435af2624de40fee9d7f3496b308f4059a54e0a82fe530e9','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.593386',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10007','rendered','2026-08-10007','easybill_2026-08_10007.csv','819e29a94221f8b35b3868c95a829f768d30cffab94927d3df5129c427eaad07','2a42b360f00edf506485697ce54df46aa1f50e43b46d04361e3369e35ce40bda',602,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','delivered','[]','819e29a94221f8b35b3868c95a829f768d30cffab94927d3df5129c427eaad07','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.741087',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10008','rendered','2026-08-10008-r2','easybill_2026-08_10008_r2.csv','c097033a73cf7fd781fd919c38a0be6e2d68c195281cf5519765d831b476ca87','6991c4a759a81054cbf8e61398ce2cafb56496be1c539a6afbda9218d8161ee3',801,2,'EUR',13000,2470,15470,'easybill-custom-csv','[]',0,'','5ae75e6b-79e7-49fd-a453-5b54353b4c50','2026-11-26 21:53:27.871863','delivered','[]','c097033a73cf7fd781fd919c38a0be6e2d68c195281cf5519765d831b476ca87','5ae75e6b-79e7-49fd-a453-5b54353b4c50','2026-11-26 21:53:28.041973',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10010','rendered','2026-08-10010','easybill_2026-08_10010.csv','eacdb1354bfc1b4d2ead5179e22e642faca5bd393d926b2db4e5ef9baf1b2898','6fc3092de5212fabb584d5ac2d340bc9e8ab2f0bd6a52802e89e766cb01de046',600,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','held','[{"code": "NAME_COLLISION", "customer_number": "10010", "source_id": "", "field": "", "value": "", "message": "easybill_2026-08_10010.csv is held: /import/easybill_2026-08_10010.csv is there already, and not from this ledger; look into the inbox, then `billing-pipeline release 2026-08-10010 --as send|delivered --reason TEXT --by NAME`"}]','eacdb1354bfc1b4d2ead5179e22e642faca5bd393d926b2db4e5ef9baf1b2898','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.910835',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10011','rendered','2026-08-10011','easybill_2026-08_10011.csv','7eb708c65865d9a4d7cc58c6036024b2e0121bd5c4061510ee946795d4d9523b','2197d6987cc39cfbcc48ec589cd72ab971595779d20a76c18b9cfdcfc963e99c',612,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','delivered','[]','7eb708c65865d9a4d7cc58c6036024b2e0121bd5c4061510ee946795d4d9523b','','2026-11-26 21:52:49.710434',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10012','rendered','2026-08-10012','easybill_2026-08_10012.csv','e1c1a1d974267ea61055d6871b8cbf13a6883bb33fac5412e369572a641ea755','62ba801ac79f23f3e6c878a4016d76e83de74f8bd358bd3c809e17f481047d43',597,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','unchanged','[]','e1c1a1d974267ea61055d6871b8cbf13a6883bb33fac5412e369572a641ea755','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:42.988681',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10015','rendered','2026-08-10015','easybill_2026-08_10015.csv','3ec6ef9e551068bb5360b2609f145c56459f3bb83ee1cc5706e8c36de5a80b3f','b1ae9e6fe21e9a706b60d38f349508bc647a821ebcaf60bace86ef550c83af06',611,1,'CHF',8000,0,8000,'easybill-custom-csv','[]',0,'','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:41.632201','unchanged','[]','3ec6ef9e551068bb5360b2609f145c56459f3bb83ee1cc5706e8c36de5a80b3f','12668846-af72-46ba-bc3d-ac416c829998','2026-11-26 21:52:43.064821',NULL);
INSERT INTO "month_customers" VALUES('2026-08','10020','rendered','2026-08-10020','easybill_2026-08_10020.csv','196dd1b1d76ba157845b7a1f91426d864088d3c6853b41a9892adb9c084cf14e','1b96a2a8d01f47d6cc88885d8d2d82abefa58ec28050cc7bb50866c8ca7ff1fd',611,1,'EUR',8500,1615,10115,'easybill-custom-csv','[]',0,'','358d286e-25d1-4ce3-bebc-2d63c5efae32','2026-11-26 21:53:05.871084','unchanged','[]','196dd1b1d76ba157845b7a1f91426d864088d3c6853b41a9892adb9c084cf14e','','2026-11-26 21:53:10.428867',NULL);
INSERT INTO "month_customers" VALUES('2026-09','10001','rendered','2026-09-10001','easybill_2026-09_10001.csv','526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','4b5ea03830063ca59ef2d5e7a2e5f230cf3443043d1f94bc29fd3dfdc2762952',646,1,'EUR',30000,5700,35700,'easybill-custom-csv','[]',0,'','aeab7061-7746-4a7d-9632-4f620fa7b049','2026-11-26 21:55:50.712638','delivered','[]','526a1bdf20b3a6dce0dfaae176b9f74ec49bac5f9bd2910e824ea70615d9f079','aeab7061-7746-4a7d-9632-4f620fa7b049','2026-11-26 21:55:50.948751',NULL);
INSERT INTO "month_customers" VALUES('2026-09','10005','rendered','2026-09-10005','easybill_2026-09_10005.csv','26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','7ca3775a547dbb6976b79ce0bcd8b12f24f8b85a6359e6f132386e4b74351a02',599,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:52.850734','delivered','[]','26bb52dc24fc4215c1de15dfcdecc0ac70a5e06e7d5f35104422707f59871670','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.157730',NULL);
INSERT INTO "month_customers" VALUES('2026-09','10006','rendered','2026-09-10006','easybill_2026-09_10006.csv','3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','cfa2d8bcc7c5fe88fc12145a18eb5dbcf9f96b168843743675aa98e09a4d6be4',809,2,'EUR',15000,1050,16050,'easybill-custom-csv','[]',0,'','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:52.850734','delivered','[]','3bca1802ee7c249c8ad67e997cf2f846ff6995f63424f97ac8328251afddeb8e','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.317505',NULL);
INSERT INTO "month_customers" VALUES('2026-09','10007','rendered','2026-09-10007','easybill_2026-09_10007.csv','4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','bc73f2d197aaf5b79f3484ed2af6821a3d5f5eba82614cb8db18ba5e16eaa0f7',602,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:52.850734','delivered','[]','4350e7aa4f01e8b856de2c9c7ec1df48b0993910727e9389b62898cda4661caa','93865956-ae20-4a6a-b622-9a531448f28d','2026-11-26 21:55:53.465507',NULL);
INSERT INTO "month_customers" VALUES('2026-09','10009','rendered','2026-09-10009','easybill_2026-09_10009.csv','2c49ffbc5cb641432acf9fc24ccdc26210ee92c35269e66c16bd2189a129255b','25193ca3239c84e0a0ebd00f662aa342473d570c27dbc4b575396a2387863c44',807,2,'EUR',8750,1663,10413,'easybill-custom-csv','[]',0,'','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206','2026-11-26 21:53:56.145206',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10013','rendered','2026-09-10013','easybill_2026-09_10013.csv','9bc53167ae0b654e7421e696f66824b644f3be1a22cbb1147a9eb5c5370c082d','ca2559c1a30998dfa8a97e18a9f3bcfc8d65042e3906f0b9febfd7f04526af71',607,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206','2026-11-26 21:53:56.145206',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10014','rendered','2026-09-10014','easybill_2026-09_10014.csv','05b8d3c772f6b378ab68b1b9f4b50823f4b0cfd5a18a74229f870fd7de030413','fa39697d42517662af6c3f0f2bed0d75abc9517be8fd8d243cdd441063451057',604,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','90ce37b0-fd4c-4f51-aeb0-033ee9bb7206','2026-11-26 21:53:56.145206',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10016','rendered','2026-09-10016','easybill_2026-09_10016.csv','de75dc50b95648fcde9a47dd13e4888b864a8867944c5a04d9d9eeaaa31df7db','d1d0225ef350ed63142b45d098c552e151e055f46c7ef215669d701493fa3d78',612,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','d764064b-8aa9-41a3-9d5a-b02759fa7831','2026-11-26 21:56:15.427320',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10017','rendered','2026-09-10017','easybill_2026-09_10017.csv','5e0eb6bc4638602e7dc3a109bd6209f63a96fde1b30abd7dd56568d428e3fe1a','f23925f4c6a7b277b60dc148bbf87f1dfd6a929804413882d692ef5f93e944ed',616,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','babf1e2a-80d4-420f-99b8-20e98bab2dd5','2026-11-26 21:56:33.340179',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10018','rendered','2026-09-10018','easybill_2026-09_10018.csv','250dfef7f19022aaf0d8eae6f1cd03c00477a260b9dc273924ce175238a45f24','882eee53b7164e98556f945d2172910d091c367b737a61d6c6d8528a4ee44776',617,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','d2c7f24c-7eba-4855-82b0-8f16bd6793d7','2026-11-26 21:56:51.886416',NULL,'[]','','',NULL,NULL);
INSERT INTO "month_customers" VALUES('2026-09','10019','rendered','2026-09-10019','easybill_2026-09_10019.csv','661d1a888ad9448220bf23d85340d888062d7ba3ffda80fb33631ca5df77f8bd','0503493b0fb49a033c15eb94ebbbd6d52ba758c104a642742f105ab56f9e7d75',610,1,'EUR',8000,1520,9520,'easybill-custom-csv','[]',0,'','95175813-6e2a-4897-9c6d-199ad586fcff','2026-11-26 21:55:23.999659',NULL,'[]','661d1a888ad9448220bf23d85340d888062d7ba3ffda80fb33631ca5df77f8bd','','2026-11-26 21:55:33.646363',NULL);
CREATE TABLE omissions (
	id INTEGER NOT NULL, 
	month TEXT NOT NULL, 
	customer_number TEXT NOT NULL, 
	service_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	removed_reason TEXT NOT NULL, 
	removed_by TEXT NOT NULL, 
	removed_at DATETIME, 
	CONSTRAINT pk_omissions PRIMARY KEY (id)
);
INSERT INTO "omissions" VALUES(1,'2026-08','10005','','billed by hand','Kim','2026-11-26 21:51:23.949029','','',NULL);
INSERT INTO "omissions" VALUES(2,'always','','SV-02-2','warranty','Kim','2026-11-26 21:51:27.269929','','',NULL);
INSERT INTO "omissions" VALUES(3,'2026-08','10008','','disputed','Kim','2026-11-26 21:51:31.078336','settled','Robin','2026-11-26 21:51:35.282050');
CREATE INDEX ix_adjustments_month ON adjustments (month);
CREATE INDEX ix_deliveries_month ON deliveries (month);
CREATE INDEX ix_events_customer_number ON events (customer_number);
CREATE INDEX ix_events_month_customer_number ON events (month, customer_number);
CREATE INDEX ix_billed_rows_delivery_id ON billed_rows (delivery_id);
CREATE INDEX ix_billed_rows_month ON billed_rows (month);
CREATE UNIQUE INDEX uq_billed_rows_once ON billed_rows (source_kind, source_id) WHERE released_at IS NULL;
CREATE TRIGGER month_customers_refuse_delete BEFORE DELETE ON month_customers BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of month_customers'); END;
CREATE TRIGGER finished_months_refuse_delete BEFORE DELETE ON finished_months BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of finished_months'); END;
CREATE TRIGGER deliveries_refuse_delete BEFORE DELETE ON deliveries BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of deliveries'); END;
CREATE TRIGGER billed_rows_refuse_delete BEFORE DELETE ON billed_rows BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of billed_rows'); END;
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of events'); END;
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of events'); END;
CREATE TRIGGER omissions_refuse_delete BEFORE DELETE ON omissions BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of omissions'); END;
CREATE TRIGGER adjustments_refuse_delete BEFORE DELETE ON adjustments BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of adjustments'); END;
CREATE TRIGGER adjustment_versions_refuse_update BEFORE UPDATE ON adjustment_versions BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of adjustment_versions'); END;
CREATE TRIGGER adjustment_versions_refuse_delete BEFORE DELETE ON adjustment_versions BEGIN SELECT RAISE(ABORT, 'the ledger keeps every row of adjustment_versions'); END;
COMMIT;
