import { useId, useLayoutEffect, useRef } from "react";
import type { JSX, ReactNode } from "react";

import { t } from "../strings/en";
import { Button } from "./button";

interface DialogProps {
  open: boolean;
  /** Asked for by Escape, the cross, or the backdrop. */
  onClose: () => void;
  title: string;
  wide?: boolean;
  children: ReactNode;
  /** Buttons at the foot, the one that acts as the last. */
  actions?: ReactNode;
}

/** A modal, native dialog: the browser keeps focus inside and gives it back. */
export function Dialog({ open, ...rest }: DialogProps): JSX.Element | null {
  return open ? <Modal {...rest} /> : null;
}

function Modal({ onClose, title, wide = false, children, actions }: Omit<DialogProps, "open">): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    // Closed before it is taken out: only so does the browser give the focus back.
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box} className={wide ? "dialog dialog-wide" : "dialog"} aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === box.current && onClose()}
    >
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" small icon="close" iconOnly onClick={onClose}>{t("common.close")}</Button>
      </div>
      <div className="dialog-body">{children}</div>
      {actions && <div className="dialog-actions">{actions}</div>}
    </dialog>
  );
}
