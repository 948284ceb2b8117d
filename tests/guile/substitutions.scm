;;; What Guix's substitute* makes of the file "guix", and the shell that stands for it on the file "fruix".

(use-modules (fruix shell)
             (guix build utils)
             (ice-9 match))

(define cases
  (list
   '((("a(.)c" all one) (string-append "[" all "|" one "]")))
   '((("^first.*") ""))
   '((("second$") "never: a line ends in a newline") (("second\n") "2nd\n"))
   '((("default = .*$") "default = \"/bin/sh\";\n"))
   '((("/usr/(bin|sbin)" _ where) (string-append "/" where "&\\1")))
   '((("a|b") "x") (("x+") "y"))
   '((("`([a-z]+)' \"\\$HOME\"" _ word) (format #f "'~a' \"$HOME\" \\" word)))
   '((("\\.c[[:space:]]+" all) all) (("joined \\\\\n") "joined "))))

(define (apply-guix clauses)
  (eval `(substitute* "guix" ,@clauses) (resolve-module '(guix build utils))))

(define view '((view "none") (path) (programs)))

(match (command-line)
  ((_ number)
   (let ((clauses (list-ref cases (string->number number))))
     (apply-guix clauses)
     (display (recorded (lambda ()
                          (eval `(substitute* "fruix" ,@clauses) (phase-module view '()))))))))
