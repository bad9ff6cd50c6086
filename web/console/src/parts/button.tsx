import type { ButtonHTMLAttributes, JSX } from "react";

import { Icon } from "./icon";
import type { IconName } from "./icon";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "danger" | "quiet";
  small?: boolean;
  icon?: IconName;
  /** The icon alone is drawn; `children` is its name. */
  iconOnly?: boolean;
  /** Under way: cannot be pressed again. */
  busy?: boolean;
}

export function Button({ kind = "plain", small, icon, iconOnly, busy, className = "", children, disabled, ...rest }: ButtonProps): JSX.Element {
  const classes = ["button", kind !== "plain" && `button-${kind}`, small && "button-small", iconOnly && "button-icon", className];
  return (
    <button type="button" {...rest} className={classes.filter(Boolean).join(" ")} disabled={disabled || busy} aria-busy={busy || undefined}>
      {icon && <Icon name={busy ? "wait" : icon} />}
      {iconOnly ? <span className="hidden">{children}</span> : children}
    </button>
  );
}
