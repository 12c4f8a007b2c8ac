"""How the picture looks: quiet colours, for light and dark."""

STYLE = """
svg { --ground: #ffffff; --ink: #1f2933; --soft: #616e7c; --line: #cbd2d9; --weekend: #f0f3f6; --holiday: #fbe3d6;
  --charge: #2b6cb0; --notice: #52606d; --active: #b7e0c4; --past_due: #fbe7a1; --restricted: #f8c99b;
  --suspended: #ef9a9a; --terminated: #9aa5b1; --on-band: #1f2933;
  font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #161b22; --ink: #e4e7eb; --soft: #9aa5b1; --line: #3e4c59;
  --weekend: #1e252e; --holiday: #42302a; --charge: #63a4e8; --notice: #cbd2d9; --active: #2f6b45;
  --past_due: #7d6a1f; --restricted: #8a5523; --suspended: #943c3c; --terminated: #52606d; --on-band: #f5f7fa; } }
.ground { fill: var(--ground); } text { fill: var(--ink); } .soft { fill: var(--soft); } .small { font-size: 11px; }
.heading { font-size: 16px; font-weight: 600; } .lane { font-weight: 600; } .band { fill: var(--on-band); }
.weekend { fill: var(--weekend); } .holiday { fill: var(--holiday); }
.line { stroke: var(--line); stroke-width: 1; fill: none; } .strong { stroke: var(--soft); }
.charge { fill: var(--charge); } .failed { fill: var(--ground); stroke: var(--charge); stroke-width: 2; }
.notice { fill: var(--notice); } .silent { fill: var(--ground); stroke: var(--soft); stroke-width: 1.5; }
.active { fill: var(--active); } .past_due { fill: var(--past_due); } .restricted { fill: var(--restricted); }
.suspended { fill: var(--suspended); } .terminated { fill: var(--terminated); }
"""
