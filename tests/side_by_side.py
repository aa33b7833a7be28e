"""How `make test` shares the tests out among processes of pytest-xdist: a file, or a group of files, is run by one of them.

What comes in: the names of all tests, the kernel's first and those of whole systems last. What goes out: which process gets which file.
The kernel's tests compute and those of whole systems wait, so the first process goes through the files from the beginning, the others
from the end, until they meet. Not here: one process alone; ``pytest`` without ``-n`` knows nothing of this.
"""

from xdist.scheduler import LoadScopeScheduling

#: What a group of files uses of the machine, and how their names begin. All else has its own ranges, ports, names and directories.
TOGETHER = {"10.231.7.0/24 on this machine": ("plugins/cni_bridge/", "plugins/cni_exec/", "plugins/cni_vxlan/")}


def unit(nodeid):
    path = nodeid.partition("::")[0]
    return next((name for name, beginnings in TOGETHER.items() if path.startswith(beginnings)), path)


class SideBySide(LoadScopeScheduling):
    def __init__(self, config, log=None):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return unit(nodeid)

    def _assign_work_unit(self, node):
        if node is not self.nodes[0]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
