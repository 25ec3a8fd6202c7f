import sys, numpy as np, syllabus, gc
ds=syllabus.open(sys.argv[1]); print(ds, ds.phases[0], list(ds.validation)[:2])
w=ds[0]; t=w.tokens; print(w, t.dtype, t.flags.writeable, t.flags.owndata, w.fragments[:1])
raw=np.fromfile(w.file, t.dtype)[:len(t)]; assert (raw==t).all()
assert (ds[0:2]==np.stack([ds[0].tokens, ds[1].tokens])).all() and (ds[-1].tokens==ds[len(ds)-1].tokens).all()
try: ds[len(ds)]; raise SystemExit("no IndexError")
except IndexError as e: print(e)
batches=list(ds.loader(4, world=1)); ids=np.concatenate([b["window_ids"] for b in batches]); assert (ids==np.arange(len(ds))).all()
b=batches[0]
for r in range(4):
    v=ds[r]; s=b["input_ids"].shape[1]
    assert (b["input_ids"][r]==v.tokens[:s]).all() and (b["position_ids"][r]==v.position_ids()).all() and (b["segment_ids"][r]==v.segment_ids()).all()
assert b["labels"].dtype==np.int64 and sum(x["loss_mask"].sum() for x in batches[:1])==b["num_targets_global"]
l=ds.loader({0:2,"1k":4}, rank=1, world=2); next(l); st=l.state_dict(); print(st, l.schedule.at(1), len(l))
m=ds.loader(8); m.load_state_dict(st); assert next(m)["window_ids"][0]==st["next_window"]
st2=dict(st, digests=[st["digests"][0],"0"*64])
try: m.load_state_dict(st2); raise SystemExit("accepted")
except syllabus.ContractError as e: print(e)
del ds, w; gc.collect(); assert (t==raw).all(); print("ok")
