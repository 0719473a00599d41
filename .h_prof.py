import time, sys, cProfile, pstats
t0=time.process_time()
from report.command import cli
t1=time.process_time()
import report.page.builder, report.page.reconcile, report.publishing.status
t2=time.process_time()
from pathlib import Path
R=Path('/work/wh')
report.page.builder.build(R)
t3=time.process_time()
shown=report.page.reconcile.reconcile(R,'pocket',R/'site',report.page.builder.Problems(R))
t4=time.process_time()
report.publishing.status.stale(shown,'pocket')
t5=time.process_time()
print('cli import',t1-t0,'build imports',t2-t1,'build',t3-t2,'reconcile',t4-t3,'stale',t5-t4)
from report.page import links
for n in ('index','code','model-card'):
    h=(R/'site'/f'{n}.html').read_text(); t=time.process_time(); links.elements(h); print(n,time.process_time()-t)
