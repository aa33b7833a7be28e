"""``python -m bareboat_cri_process.monitor`` builds the ready-made monitor of this machine."""

from bareboat_cri_process.monitor import main

main()
